// Dense symmetric matrices in double precision, row-major: what CMA-ES and Gaussian processes need.
// Sizes are tens to some hundreds; plain loops in a fixed order, the same bits everywhere.
#pragma once

#include <vector>

namespace rhnas::rl {

// Lower triangle of a positive definite matrix into its Cholesky factor, in place; the strict upper
// triangle is not touched. False: not positive definite (the contents are then of no use).
bool Cholesky(int n, std::vector<double>* matrix);
// x := L^-1 x and x := L^-T x.
void SolveLower(int n, const std::vector<double>& factor, double* x);
void SolveLowerTransposed(int n, const std::vector<double>& factor, double* x);

// Eigenvalues and orthonormal eigenvectors (columns) of a symmetric matrix by cyclic Jacobi
// rotations (Golub and Van Loan, "Matrix computations", section 8.5). In no particular order.
void EigenSymmetric(int n, std::vector<double> matrix, std::vector<double>* vectors,
                    std::vector<double>* values);

}  // namespace rhnas::rl
