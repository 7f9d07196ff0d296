//! The fuzz target's walk on random bytes.

use proptest::prelude::*;

mod walk;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_input_is_survived(data in proptest::collection::vec(any::<u8>(), 0..6000)) {
        walk::walk(&data);
    }
}
