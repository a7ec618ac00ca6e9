//! Bugs to seed into the protocol: a check that finds none of them proves nothing.

/// One seeded bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// `publish` stores whoever holds the lease.
    PublishIgnoresToken,
    /// `invalidate` leaves the lease.
    InvalidateKeepsLease,
    /// `invalidate` ends a lease and wakes nobody.
    InvalidateWakesNobody,
    /// `acquire` grants although the entry is not the one that was read.
    AcquireIgnoresSeen,
    /// Nor is what is read behind `SET NX` compared with it.
    TakeIgnoresSeen,
    /// The entry is read before the lease is taken, in the same round trip.
    ReadsBeforeTaking,
    /// `SET` without `NX`.
    TakesHeldLease,
    /// A lease that was taken beside an entry is not given back.
    KeepsLeaseOfHit,
    /// `release` ends whatever lease there is.
    ReleaseIgnoresToken,
    /// A value leaves the mark that says that nothing was stored.
    MarkOutlivesValue,
    /// Who loads beside the lease, since nothing was stored before, takes the lease when its load has ended, and publishes.
    UnleasedLoadPublishes,
    /// A wait is registered when `acquire` has been answered.
    RegisterAfterAcquire,
    /// A message does not detach the flight of its key.
    MessageLeavesFlight,
    /// A flight is known to messages only from the answer to its `GET` on.
    CaptureAfterGet,
    /// The epoch is captured when `GET` has been answered, and a gap detaches no flight. (Either would do alone.)
    EpochAfterGet,
    /// The stamps are captured when the load has ended.
    StampsAfterLoad,
    /// The origin of an invalidation does not invalidate once more when Redis has answered.
    OriginInvalidatesOnce,
    /// Nor does the origin of a restamp.
    OriginVoidsOnce,
    /// A number of a stamp is taken in although the stamp was voided since it was asked for.
    LearnsVoidedReadings,
    /// A flight whose stamps were voided is joined.
    JoinsVoidedFlight,
    /// A flight from before a gap is joined after it.
    JoinsAcrossGap,
    /// Who joined a fenced flight after its load began gets its outcome.
    FencedEndsAsStored,
    /// Reconnecting begins no new epoch.
    EpochStaysOnReconnect,
    /// Reconnecting leaves the numbers of stamps known.
    NumbersStayOnReconnect,
    /// A suspect is trusted again whatever Redis answers.
    RevalidationComparesNothing,
    /// A suspect is trusted again although Redis has it marked as stale.
    RevalidationIgnoresMark,
    /// A suspect is trusted again although its stamp has another number by now.
    RevalidationIgnoresStamps,
    /// A suspect is stored again although its key was invalidated since Redis was asked.
    RevalidationStoresDetached,
    /// A suspect of which Redis has just said that it is not good is handed out when Redis then fails.
    ServesDisowned,
    /// Reconnecting opens no breaker: Redis is read before the journal was replayed.
    ReadsBeforeReplay,
    /// The breaker closes although something became pending while the journal was replayed.
    ClosesWhateverCame,
    /// What was acknowledged is replayed to no server, as if each had kept it.
    TakesEachServerForTheSame,
    /// A server that had lost what was acknowledged is taken for one that has it, once it answers a second time.
    ForgetsOlderGap,
    /// Only what was not acknowledged is replayed.
    ForgetsAcknowledged,
    /// What was asked before the breaker opened is taken in after it.
    AnswersOutliveBreaker,
    /// An invalidation that failed acts in memory for the last time *before* the breaker opens.
    InvalidatesBeforeOpening,
    /// What is replayed does not act in memory once more.
    RecoveryTellsRedisOnly,
    /// A put stores its value in one step, whoever holds the lease.
    PutInOneStep,
    /// The second step of a put stores whoever holds the lease.
    PutIgnoresToken,
    /// The number of a stamp is trusted before the own edition is registered in it.
    TrustsBeforeRegistering,
    /// An invalidation touches the editions that its process knows of, and no others that the stamp names.
    TouchesKnownEditions,
    /// Who creates a stamp tells nobody.
    CreatesSilently,
    /// An invalidation that finds no stamp leaves it at that.
    IgnoresAbsentStamp,
    /// An edition that is not registered takes the place of those that are.
    RegistersAlone,
}
