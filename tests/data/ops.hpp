// SPDX-License-Identifier: MIT
#pragma once
// One function for each op of the cases: it reads the operands, runs the library and compares.

#include "tests/data/verdict.hpp"

namespace cases {

// matrix_products.cpp
void fully_connected(const neutral_case& one, verdict& v);
void fully_connected_scale_shift(const neutral_case& one, verdict& v);
void batch_matmul(const neutral_case& one, verdict& v);
void qlinear_matmul(const neutral_case& one, verdict& v);
void gemm_f32(const neutral_case& one, verdict& v);
void matmul_f32(const neutral_case& one, verdict& v);

// convolutions.cpp
void conv2d(const neutral_case& one, verdict& v);
void conv2d_scale_shift(const neutral_case& one, verdict& v);
void conv2d_codebook(const neutral_case& one, verdict& v);
void conv2d_nchw_f32(const neutral_case& one, verdict& v);
void conv_integer_nchw(const neutral_case& one, verdict& v);
void depthwise_conv2d(const neutral_case& one, verdict& v);
void pad(const neutral_case& one, verdict& v);

// sparse.cpp
void pruned_fully_connected(const neutral_case& one, verdict& v);
void pruned_conv2d(const neutral_case& one, verdict& v);
void spmm_int8(const neutral_case& one, verdict& v);
void spmm_f32(const neutral_case& one, verdict& v);
void spmv_f64(const neutral_case& one, verdict& v);
void sparse_format_convert(const neutral_case& one, verdict& v);

// pools.cpp
void max_pool2d(const neutral_case& one, verdict& v);
void max_pool2d_nchw(const neutral_case& one, verdict& v);
void average_pool2d(const neutral_case& one, verdict& v);
void average_pool2d_nchw(const neutral_case& one, verdict& v);

// block_quantize.cpp
void block_quantize(const neutral_case& one, verdict& v);

// elementwise.cpp
void softmax(const neutral_case& one, verdict& v);
void softmax_f32(const neutral_case& one, verdict& v);
void quantize_linear(const neutral_case& one, verdict& v);
void dequantize_linear(const neutral_case& one, verdict& v);
void dynamic_quantize_linear(const neutral_case& one, verdict& v);
void cast(const neutral_case& one, verdict& v);

}  // namespace cases
