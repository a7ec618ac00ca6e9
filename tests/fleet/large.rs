//! Large values, and the default limit.

use crate::fleet::Fleet;

/// The limit fits the budget where nobody has set either: 1 MiB takes 9 ms at 1 Gbit/s. Killed by: a larger one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_values_up_to_a_mebibyte_are_shared() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for (id, length, is_shared) in [(1, 1_000_000, true), (2, (1 << 20) + 1, false)] {
        fleet.database.set_version(id, length).await;
        assert_eq!(shop.text(id).await.len() as u64, length);
        assert_eq!(fleet.has_entry("text", id), is_shared, "{length}");
        assert_eq!(fleet.shop().await.text(id).await.len() as u64, length);
        assert_eq!(fleet.database.loads(id).await, if is_shared { 1 } else { 2 });
    }
}
