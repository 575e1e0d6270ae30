// SPDX-License-Identifier: MIT
#pragma once
// Products Y = epilogue(X W^T) ready to be measured, chosen by name at run time: format and numeric types from a fixed
// list, everything else free. Both the benchmarks and the explorer measure these.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace workbench {

/// What to multiply.
struct product_request {
  std::string format;    // "dense", "csr", "block<16,4>", ... (formats())
  std::string numerics;  // X and W: "u8xs8", "f32xf32", "u8xs4:32" with scales along k, ... (numerics())
  std::size_t m = 0;
  double sparsity = 0;     // of the weights after pruning; a pattern that implies its own takes that
  std::uint64_t seed = 1;  // of X
  std::string loop = {};   // "rows", "columns", "expand" or "window"; empty: as sparq's plan picks
  bool k_major = false;    // X and Y by columns, which only the columns loop takes
};

/// A product with all its operands. Bytes requantize to u8 with fp32_nearest_even per channel, floats stay floats, bits
/// leave int32 sums.
class product {
 public:
  virtual ~product() = default;
  /// Multiplies by packed copy `copy` (modulo their number).
  virtual void run(std::size_t copy) = 0;
  /// Makes as many packed copies, to be rotated through: more than the caches hold, and every call reads from memory.
  virtual void set_copies(std::size_t copies) = 0;
  /// Compares the first rows with the reference; empty when they agree, otherwise what differs.
  virtual std::string verify() = 0;
  /// The weights as the kernel sees them, n x k real numbers.
  virtual std::vector<float> decoded() const = 0;

  double sparsity = 0;           // reached
  std::size_t bytes = 0;         // of the canonical tensor
  std::size_t packed_bytes = 0;  // of one packed copy
  double encode_seconds = 0;
  double pack_seconds = 0;
  double slot_efficiency = 0;  // non-zero / stored codes
  std::string kernel;                     // the library's own explanation
};

/// The formats and numeric types that this program was built with; "dense" comes first.
std::vector<std::string> formats();
std::vector<std::string> numerics();
/// Those of one pair of numeric types: all, or a few where the pair is one of many of its kind.
std::vector<std::string> formats(const std::string& numerics);
/// The sparsity that a format implies (2:4 is 0.5), or a negative number if it takes any.
double implied_sparsity(const std::string& format);

/// Prunes `weights` (n x k, row-major) to the format, encodes and packs them. Throws sparq::error with a sentence for
/// names that are not known, and for whatever the library refuses.
std::unique_ptr<product> make_product(const product_request& request, std::span<const float> weights, std::size_t n,
                                      std::size_t k);

/// n x k standard normal numbers, the same with every compiler. White noise: the hardest case for structured patterns.
std::vector<float> noise_weights(std::size_t n, std::size_t k, std::uint64_t seed);

}  // namespace workbench
