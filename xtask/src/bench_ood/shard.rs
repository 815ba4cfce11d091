//! A part of a run, so that a cluster's scheduler can spread it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Part `index` (from 1) of `count`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    pub(crate) count: u32,
}

impl Shard {
    /// Whether the photo with this number belongs to the part. Numbers count over all domains, so that the parts are equal
    /// in size however few photos a domain has. All pictures of a photo lie in one part, which then reads it once.
    pub(crate) fn has(self, number: usize) -> bool {
        number % self.count as usize == self.index as usize - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(
                "give a part and the number of parts, such as 1/8 for the first of eight"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// The parts that are missing or there twice.
pub(crate) fn problems(shards: &[Shard]) -> Vec<String> {
    let Some(first) = shards.first() else {
        return vec!["there is no part".to_owned()];
    };
    let mut problems = Vec::new();
    for shard in shards {
        if shard.count != first.count {
            problems.push(format!("{shard} is a part of another whole than {first}"));
        }
    }
    if problems.is_empty() {
        for index in 1..=first.count {
            let times = shards.iter().filter(|shard| shard.index == index).count();
            let shard = Shard { index, ..*first };
            match times {
                1 => {}
                0 => problems.push(format!("{shard} is missing")),
                _ => problems.push(format!("{shard} is there {times} times")),
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shard(text: &str) -> Shard {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(shard("1/8"), Shard { index: 1, count: 8 });
        assert_eq!(shard("8/8").to_string(), "8/8");
        for wrong in ["0/8", "9/8", "1/0", "1", "a/b", "1/8/2", "-1/8", "1/-8", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn missing_and_doubled_parts_are_named() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].map(shard).into();
        assert_eq!(problems(&shards), Vec::<String>::new());
        assert_eq!(problems(&shards[..2]), ["3/3 is missing"]);
        let twice = [shards.clone(), vec![shard("2/3")]].concat();
        assert_eq!(problems(&twice), ["2/3 is there 2 times"]);
        let mixed = problems(&[shard("1/2"), shard("2/3")]);
        assert_eq!(mixed.len(), 1, "{mixed:?}");
        assert!(!problems(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn every_photo_is_in_exactly_one_part(count in 1_u32..40, number in 0_usize..10_000) {
            let owners = (1..=count).filter(|&index| Shard { index, count }.has(number)).count();
            prop_assert_eq!(owners, 1);
        }
    }
}
