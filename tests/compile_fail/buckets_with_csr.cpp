// SPDX-License-Identifier: MIT
// expect only: sparq: buckets cut the matrix as it lies in memory
#include <sparq/format/csr.hpp>
#include <sparq/tensor/tensor.hpp>

using buckets = sparq::codebook<4, sparq::s8, sparq::per_bucket<256>>;

std::size_t bytes(const sparq::tensor<sparq::csr, buckets>& w) { return w.bytes(); }
