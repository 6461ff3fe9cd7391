//! Heads and rows come back as they were put in, and what is broken says how.

use proptest::prelude::*;

use super::*;

fn head(base: Vec<f32>) -> Head {
    let camera = CameraId::try_new("yard").unwrap();
    Head { camera, bundle: "mini".to_owned(), digest: "ab".repeat(32), base }
}

#[test]
fn a_head_comes_back_and_its_parts_are_torn() {
    let head = head(vec![0.25, -0.5, 1.0]);
    let bytes = head.bytes().unwrap();
    assert_eq!(Head::read(&bytes), Ok((head, bytes.len())));
    for length in 0..bytes.len() {
        assert_eq!(Head::read(&bytes[..length]), Err(Unfit::Torn), "{length}");
    }
}

#[test]
fn other_files_and_versions_are_told_apart() {
    let mut bytes = head(vec![1.0]).bytes().unwrap();
    bytes[8] = 9;
    assert_eq!(Head::read(&bytes), Err(Unfit::Version(9)));
    assert_eq!(Head::read(b"something else of somebody"), Err(Unfit::Foreign));
    assert_eq!(Head::read(&[0; 64]), Err(Unfit::Foreign));
}

proptest! {
    /// What is read of a row is what was put in it, each value to half a step of the row's scale.
    #[test]
    fn rows_come_back(
        values in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..70),
        seconds in 1.0..4e9,
        (tile, tiles, picture) in any::<(u8, u8, u64)>(),
    ) {
        let (base, values): (Vec<f32>, Vec<f32>) = values.into_iter().unzip();
        let (head, embedding) = (head(base), Embedding(values));
        let wanted = RowHead { time: WallTime(seconds), tile, tiles, picture };
        let mut row = Vec::new();
        head.put_row(wanted, &embedding, &mut row);
        prop_assert_eq!(row.len(), head.row_length());
        prop_assert_eq!(RowHead::read(&row), wanted);
        let step = RowHead::scale(&row);
        for (found, value) in head.embedding(&row).0.iter().zip(&embedding.0) {
            prop_assert!((found - value).abs() <= step * 0.51 + 1e-6, "{} {} {}", found, value, step);
        }
    }

    /// Whatever is in a file, its head is read or refused.
    #[test]
    fn no_bytes_are_too_bad(bytes in prop::collection::vec(any::<u8>(), 0..80), whole in any::<bool>()) {
        let mut bytes = bytes;
        if whole && bytes.len() > 10 {
            bytes[..8].copy_from_slice(MAGIC);
            bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        }
        let _refused = Head::read(&bytes);
        let _nonsense = (RowHead::read(&bytes), RowHead::scale(&bytes));
    }
}
