//! Mixes of blur by name.

use blur_synth::BlurMix;

#[test]
fn from_sharp_differs_from_standard_in_the_least_blur_alone() {
    let (standard, from_sharp) = (BlurMix::standard(), BlurMix::from_sharp());
    from_sharp.validate().unwrap();
    assert_eq!(standard.families.len(), from_sharp.families.len());
    for (usual, lower) in standard.families.iter().zip(&from_sharp.families) {
        assert!(lower.min < 0.4 * usual.min, "{lower:?}");
        assert_eq!(
            blur_synth::WeightedFamily {
                min: usual.min,
                ..*lower
            },
            *usual
        );
    }
    let others = BlurMix {
        families: standard.families.clone(),
        ..from_sharp
    };
    assert_eq!(others, standard);
}
