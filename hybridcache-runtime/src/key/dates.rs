//! Dates and times of `chrono`, `jiff` and `time` as parts of keys.
//!
//! A date is written as it is displayed, which identifies it completely. A moment is written as its instant: two equal
//! times in two zones give one key, because they are one value to `==`.

use crate::key::cache_key::CacheKey;
use crate::key::text::KeyBuf;

#[cfg(any(feature = "chrono", feature = "jiff"))]
macro_rules! displayed {
    ($($date:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl CacheKey for $date {
            fn write_key(&self, key: &mut KeyBuf) {
                key.display(self);
            }
        }
    )*};
}

#[cfg(feature = "chrono")]
mod of_chrono {
    use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};

    use super::{CacheKey, KeyBuf};

    displayed!(NaiveDate, NaiveDateTime, NaiveTime);

    #[diagnostic::do_not_recommend]
    impl<Z: TimeZone> CacheKey for DateTime<Z> {
        fn write_key(&self, key: &mut KeyBuf) {
            self.naive_utc().write_key(key);
        }
    }
}

#[cfg(feature = "jiff")]
mod of_jiff {
    use jiff::civil::{Date, DateTime, Time};
    use jiff::{Timestamp, Zoned};

    use super::{CacheKey, KeyBuf};

    displayed!(Date, DateTime, Time, Timestamp);

    #[diagnostic::do_not_recommend]
    impl CacheKey for Zoned {
        fn write_key(&self, key: &mut KeyBuf) {
            self.timestamp().write_key(key);
        }
    }
}

#[cfg(feature = "time")]
mod of_time {
    use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

    use super::{CacheKey, KeyBuf};

    #[diagnostic::do_not_recommend]
    impl CacheKey for Date {
        fn write_key(&self, key: &mut KeyBuf) {
            key.display(&format_args!("{}-{:03}", self.year(), self.ordinal()));
        }
    }

    #[diagnostic::do_not_recommend]
    impl CacheKey for Time {
        fn write_key(&self, key: &mut KeyBuf) {
            let (hour, minute, second, nanosecond) = self.as_hms_nano();
            key.display(&format_args!("{hour:02}:{minute:02}:{second:02}.{nanosecond:09}"));
        }
    }

    #[diagnostic::do_not_recommend]
    impl CacheKey for PrimitiveDateTime {
        fn write_key(&self, key: &mut KeyBuf) {
            (self.date(), self.time()).write_key(key);
        }
    }

    #[diagnostic::do_not_recommend]
    impl CacheKey for OffsetDateTime {
        fn write_key(&self, key: &mut KeyBuf) {
            self.unix_timestamp_nanos().write_key(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl CacheKey) -> String {
        let mut key = KeyBuf::new();
        value.write_key(&mut key);
        key.as_str().to_owned()
    }

    /// Killed by: a display that leaves fractions out; a moment written with its offset.
    #[cfg(feature = "chrono")]
    #[test]
    fn of_chrono() {
        use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
        assert_eq!(text(&NaiveDate::from_ymd_opt(2026, 2, 3).expect("a date")), "2026-02-03");
        let utc: DateTime<Utc> = "2026-02-03T04:05:06.000000007Z".parse().expect("a time");
        let east: DateTime<FixedOffset> = "2026-02-03T05:05:06.000000007+01:00".parse().expect("a time");
        assert_eq!(text(&utc), "2026-02-03%2004%3A05%3A06.000000007");
        assert_eq!(text(&east), text(&utc));
    }

    #[cfg(feature = "jiff")]
    #[test]
    fn of_jiff() {
        use jiff::{Timestamp, civil::Date, tz::TimeZone};
        assert_eq!(text(&Date::constant(2026, 2, 3)), "2026-02-03");
        let moment = Timestamp::new(1_770_091_506, 7).expect("a time");
        assert_eq!(text(&moment), "2026-02-03T04%3A05%3A06.000000007Z");
        assert_eq!(text(&moment.to_zoned(TimeZone::fixed(jiff::tz::offset(1)))), text(&moment));
    }

    #[cfg(feature = "time")]
    #[test]
    fn of_time() {
        use time::{Date, OffsetDateTime, UtcOffset};
        assert_eq!(text(&Date::from_ordinal_date(2026, 34).expect("a date")), "2026-034");
        let moment = OffsetDateTime::from_unix_timestamp_nanos(1_770_091_506_000_000_007).expect("a time");
        assert_eq!(text(&moment), "1770091506000000007");
        assert_eq!(text(&moment.to_offset(UtcOffset::from_hms(1, 0, 0).expect("an offset"))), text(&moment));
    }
}
