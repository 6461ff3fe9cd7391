//! Many labels times a few pictures, each label's values read once.
//!
//! What a general matrix product does first, copying the large matrix into blocks, costs more here than
//! the product. This one goes through the labels a few rows at a time and keeps the sums of all
//! pictures in vector registers, of the processor that it runs on. Thousands of labels are shared out
//! to all cores.

use pulp::{Arch, Simd, WithSimd};

use crate::cores::both;

/// Pictures side by side.
const LANES: usize = 16;
/// Fewer values than twice these are one core's: waking another takes as long as a part of that size.
const PART: usize = 1 << 19;
/// Parts begin at a multiple of so many rows, which the blocks of all processors divide.
const BLOCKS: usize = 12;

/// The product of each of `pictures` with each row of `matrix`, which has `dim` columns.
pub(super) fn product(pictures: &[&[f32]], matrix: &[f32], dim: usize) -> Vec<Vec<f32>> {
    let rows = matrix.len().checked_div(dim).unwrap_or(0);
    let mut products = vec![vec![0.0; rows]; pictures.len()];
    for (pictures, products) in pictures.chunks(LANES).zip(products.chunks_mut(LANES)) {
        let products = products.iter_mut().map(Vec::as_mut_slice).collect();
        shared_out(Product { lanes: &lanes(pictures, dim), matrix, products });
    }
    products
}

/// The pictures' values side by side; zeros where there are no more pictures.
fn lanes(pictures: &[&[f32]], dim: usize) -> Vec<[f32; LANES]> {
    let value = |picture: usize, column: usize| pictures.get(picture).map_or(0.0, |p| p[column]);
    (0..dim).map(|column| std::array::from_fn(|picture| value(picture, column))).collect()
}

fn shared_out(product: Product<'_>) {
    match product.halves() {
        Ok([left, right]) => {
            both(|| shared_out(left), || shared_out(right));
        }
        Err(whole) => Arch::new().dispatch(whole),
    }
}

struct Product<'a> {
    /// A row for each column of `matrix`.
    lanes: &'a [[f32; LANES]],
    matrix: &'a [f32],
    /// At most [`LANES`].
    products: Vec<&'a mut [f32]>,
}

impl<'a> Product<'a> {
    /// Two with half of the labels each, or itself when it is small.
    fn halves(self) -> Result<[Self; 2], Self> {
        if self.matrix.len() < 2 * PART {
            return Err(self);
        }
        let Self { lanes, matrix, products } = self;
        let middle = (matrix.len() / lanes.len() / 2).next_multiple_of(BLOCKS);
        let (above, below) = matrix.split_at(middle * lanes.len());
        let (first, second) = products.into_iter().map(|p| p.split_at_mut(middle)).unzip();
        Ok([
            Self { lanes, matrix: above, products: first },
            Self { lanes, matrix: below, products: second },
        ])
    }

    /// `V` vectors for the pictures, and `R` rows at once: as many as there are registers for.
    #[inline(always)]
    fn run<S: Simd, const V: usize, const R: usize>(mut self, simd: S) {
        let dim = self.lanes.len().max(1);
        let (lanes, _) = S::as_simd_f32s(self.lanes.as_flattened());
        let blocks = self.matrix.chunks_exact(dim * R);
        let (whole, rest) = (blocks.len() * R, blocks.remainder());
        for (block, values) in blocks.enumerate() {
            self.keep(block * R, sums::<S, V, R>(simd, lanes, values));
        }
        for (row, values) in rest.chunks_exact(dim).enumerate() {
            self.keep(whole + row, sums::<S, V, 1>(simd, lanes, values));
        }
    }

    #[inline(always)]
    fn keep<const R: usize>(&mut self, first: usize, sums: [[f32; LANES]; R]) {
        for (picture, products) in self.products.iter_mut().enumerate() {
            for (product, sums) in products[first..].iter_mut().zip(&sums) {
                *product = sums[picture];
            }
        }
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Lanes without a picture cost as much as the others.
        let few = self.products.len() <= S::F32_LANES;
        match S::F32_LANES {
            16 => self.run::<S, 1, 12>(simd),
            8 | 4 if few => self.run::<S, 1, 12>(simd),
            8 => self.run::<S, 2, 6>(simd),
            4 => self.run::<S, 4, 4>(simd),
            _ => self.run::<S, LANES, 1>(simd),
        }
    }
}

/// The products of `R` rows, which lie behind each other in `values`, with the first `V` vectors of pictures.
#[inline(always)]
fn sums<S: Simd, const V: usize, const R: usize>(
    simd: S,
    lanes: &[S::f32s],
    values: &[f32],
) -> [[f32; LANES]; R] {
    let vectors = LANES / S::F32_LANES;
    let dim = lanes.len() / vectors;
    let rows: [&[f32]; R] = std::array::from_fn(|row| &values[row * dim..][..dim]);
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (column, pictures) in lanes.chunks_exact(vectors).enumerate().take(dim) {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let value = simd.splat_f32s(row[column]);
            for (sum, picture) in sums.iter_mut().zip(pictures) {
                *sum = simd.mul_add_e_f32s(value, *picture, *sum);
            }
        }
    }
    let mut flat = [[0.0; LANES]; R];
    for (flat, sums) in flat.iter_mut().zip(&sums) {
        S::as_mut_simd_f32s(flat).0[..V].copy_from_slice(sums);
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_plain_sum() {
        let mut random = fastrand::Rng::with_seed(3);
        let sizes = [(1, 1, 1), (3, 5, 7), (4, 6, 384), (5, 13, 33), (17, 25, 8), (3, 5003, 512)];
        for (pictures, rows, dim) in sizes {
            let mut values =
                |count: usize| -> Vec<f32> { (0..count).map(|_| random.f32() - 0.5).collect() };
            let (pictures, matrix) = (values(pictures * dim), values(rows * dim));
            let pictures: Vec<&[f32]> = pictures.chunks(dim).collect();
            let found = product(&pictures, &matrix, dim);
            assert_eq!(found.len(), pictures.len());
            for (found, picture) in found.iter().zip(&pictures) {
                assert_eq!(found.len(), rows);
                for (found, row) in found.iter().zip(matrix.chunks(dim)) {
                    let wanted: f32 = picture.iter().zip(row).map(|(a, b)| a * b).sum();
                    assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn vectors_of_all_widths_come_to_the_same() {
        let mut random = fastrand::Rng::with_seed(4);
        let (dim, rows) = (64, 29);
        let matrix: Vec<f32> = (0..dim * rows).map(|_| random.f32() - 0.5).collect();
        for count in [1, 4, 5, LANES] {
            let pictures: Vec<&[f32]> = matrix.chunks(dim).take(count).collect();
            let wanted = product(&pictures, &matrix, dim);
            let lanes = lanes(&pictures, dim);
            let run = |which: fn(Product<'_>)| {
                let mut found = vec![vec![0.0; rows]; count];
                let products = found.iter_mut().map(Vec::as_mut_slice).collect();
                which(Product { lanes: &lanes, matrix: &matrix, products });
                for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
                    assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
                }
            };
            run(|product| product.with_simd(pulp::Scalar));
            run(|product| product.with_simd(pulp::Scalar128b));
            run(|product| product.with_simd(pulp::Scalar256b));
            run(|product| product.with_simd(pulp::Scalar512b));
        }
    }

    #[test]
    fn nothing_times_nothing() {
        assert!(product(&[], &[1.0, 2.0], 2).is_empty());
        assert_eq!(product(&[&[1.0, 2.0]], &[], 2), [Vec::<f32>::new()]);
    }
}
