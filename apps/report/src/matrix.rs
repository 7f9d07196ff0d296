//! A plain matrix that is stored row by row.

use std::fmt;

/// A row-major matrix, `[rows, cols]`.
///
/// `Debug` shows the shape only: the values are channel measurements or (simulated) key bits.
#[derive(Clone, PartialEq)]
pub struct Matrix<T> {
    rows: usize,
    cols: usize,
    data: Vec<T>,
}

impl<T: Copy> Matrix<T> {
    /// An empty matrix, `[0, cols]`.
    pub fn empty(cols: usize) -> Self {
        Self { rows: 0, cols, data: Vec::new() }
    }

    /// The matrix of `rows` x `cols` values in row-major order; `None` if `data` has another
    /// length.
    pub fn new(rows: usize, cols: usize, data: Vec<T>) -> Option<Self> {
        (rows.checked_mul(cols) == Some(data.len())).then_some(Self { rows, cols, data })
    }

    /// The matrix of these rows; `None` if they differ in length. Without rows it is `[0, 0]`.
    pub fn from_rows<R: AsRef<[T]>>(rows: &[R]) -> Option<Self> {
        let cols = rows.first().map_or(0, |row| row.as_ref().len());
        let mut matrix = Self::empty(cols);
        rows.iter().all(|row| matrix.push_row(row.as_ref())).then_some(matrix)
    }

    /// Appends a row; `false`, and nothing is changed, if it does not have [`Matrix::cols`] values.
    pub fn push_row(&mut self, row: &[T]) -> bool {
        let fits = row.len() == self.cols;
        if fits {
            self.data.extend_from_slice(row);
            self.rows += 1;
        }
        fits
    }

    /// Number of rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns of the matrix.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All values in row-major order.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The value in this row and column, if there is one.
    pub fn get(&self, row: usize, col: usize) -> Option<T> {
        if col >= self.cols {
            return None;
        }
        self.data.get(row.checked_mul(self.cols)?.checked_add(col)?).copied()
    }

    /// One row; empty beyond the last.
    pub fn row(&self, row: usize) -> &[T] {
        if row >= self.rows {
            return &[];
        }
        &self.data[row * self.cols..(row + 1) * self.cols]
    }
}

impl<T> Default for Matrix<T> {
    fn default() -> Self {
        Self { rows: 0, cols: 0, data: Vec::new() }
    }
}

impl<T> fmt::Debug for Matrix<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({} x {})", self.rows, self.cols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_takes_only_rows_of_its_width() {
        let mut m = Matrix::empty(2);
        assert!(m.push_row(&[1, 2]));
        assert!(!m.push_row(&[3]));
        assert!(m.push_row(&[3, 4]));
        assert_eq!(m, Matrix::new(2, 2, vec![1, 2, 3, 4]).unwrap());
        assert_eq!((m.get(1, 0), m.get(0, 2), m.get(2, 0)), (Some(3), None, None));
        assert_eq!((m.row(1), m.row(2)), (&[3, 4][..], &[][..]));
        assert!(Matrix::from_rows(&[vec![1], vec![2, 3]]).is_none());
        assert!(Matrix::new(2, 3, vec![0; 5]).is_none());
        assert_eq!(format!("{m:?}"), "Matrix(2 x 2)");
    }
}
