//! The little linear algebra that a regression on few examples takes. Pure.

use ndarray::{Array1, Array2};

/// Added to a matrix of products, as a share of its mean diagonal: copies make it singular.
const JITTER: f64 = 1e-9;

/// Cholesky's decomposition of a symmetric positive definite matrix: `matrix = lower · lowerᵀ`.
pub(super) struct Cholesky {
    lower: Array2<f64>,
}

impl Cholesky {
    pub(super) fn new(mut matrix: Array2<f64>) -> Self {
        let size = matrix.nrows();
        let values = matrix.as_slice_mut().unwrap_or_default();
        for row in 0..size {
            let (before, rest) = values.split_at_mut(row * size);
            let own = &mut rest[..size];
            for column in 0..row {
                let other = &before[column * size..][..size];
                let sum = own[column] - dot(&own[..column], &other[..column]);
                own[column] = sum / other[column];
            }
            let square = own[row] - dot(&own[..row], &own[..row]);
            own[row] = square.max(f64::MIN_POSITIVE).sqrt();
            own[row + 1..].fill(0.0);
        }
        Self { lower: matrix }
    }

    pub(super) fn log_determinant(&self) -> f64 {
        self.lower.diag().iter().map(|root| 2.0 * root.ln()).sum()
    }

    /// What the matrix makes `right` of.
    pub(super) fn solve(&self, right: &Array1<f64>) -> Array1<f64> {
        let mut solved = right.clone();
        for row in 0..solved.len() {
            let known: f64 =
                (0..row).map(|column| self.lower[[row, column]] * solved[column]).sum();
            solved[row] = (solved[row] - known) / self.lower[[row, row]];
        }
        self.solve_transposed(solved)
    }

    /// What `lowerᵀ` makes `right` of.
    fn solve_transposed(&self, mut right: Array1<f64>) -> Array1<f64> {
        for row in (0..right.len()).rev() {
            right[row] /= self.lower[[row, row]];
            let value = right[row];
            for column in 0..row {
                right[column] -= self.lower[[row, column]] * value;
            }
        }
        right
    }
}

/// Examples in no more values than there are examples: their products with each other are the same, and
/// nothing else counts in a regression with a round prior.
pub(super) struct Reduced {
    /// `[examples, values]`
    x: Array2<f64>,
    /// `None`: they are as they were.
    few: Option<Cholesky>,
}

impl Reduced {
    pub(super) fn new(x: Array2<f64>) -> Self {
        let (examples, values) = x.dim();
        if examples >= values {
            return Self { x, few: None };
        }
        let mut products = x.dot(&x.t());
        let jitter = products.diag().mean().unwrap_or(0.0) * JITTER + f64::MIN_POSITIVE;
        products.diag_mut().map_inplace(|value| *value += jitter);
        Self { x, few: Some(Cholesky::new(products)) }
    }

    /// `[examples, features]`
    pub(super) fn features(&self) -> &Array2<f64> {
        self.few.as_ref().map_or(&self.x, |few| &few.lower)
    }

    /// The weights of the values, from those of the features.
    pub(super) fn back(&self, weights: &Array1<f64>) -> Array1<f64> {
        match &self.few {
            Some(few) => self.x.t().dot(&few.solve_transposed(weights.clone())),
            None => weights.clone(),
        }
    }
}

/// Four sums at a time: one alone waits for itself.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, rest_a) = a.as_chunks::<4>();
    let (b, rest_b) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        Array2::from_shape_simple_fn((rows, columns), || random.f64() - 0.5)
    }

    #[test]
    fn decomposed_and_solved() {
        for size in [1, 2, 5, 9, 17] {
            let x = random(size, size + 3, size as u64);
            let matrix = x.dot(&x.t());
            let found = Cholesky::new(matrix.clone());
            let again = found.lower.dot(&found.lower.t());
            assert!((&again - &matrix).iter().all(|value| value.abs() < 1e-9), "{size}");
            let right = random(1, size, 7).row(0).to_owned();
            let back = matrix.dot(&found.solve(&right));
            assert!((back - right).iter().all(|value| value.abs() < 1e-6), "{size}");
        }
    }

    #[test]
    fn fewer_values_have_the_same_products() {
        let x = random(6, 40, 3);
        let reduced = Reduced::new(x.clone());
        assert_eq!(reduced.features().dim(), (6, 6));
        let weights = random(1, 6, 4).row(0).to_owned();
        let back = reduced.back(&weights);
        let (few, many) = (reduced.features().dot(&weights), x.dot(&back));
        assert!((few - many).iter().all(|value| value.abs() < 1e-6));
        assert!((weights.dot(&weights) - back.dot(&back)).abs() < 1e-6);
        assert_eq!(Reduced::new(random(5, 3, 5)).features().dim(), (5, 3));
    }
}
