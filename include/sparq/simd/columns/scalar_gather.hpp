// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for few rows of X: instead of rows, the lanes hold the k's of a set's groups, and X is
// gathered element by element.
//
//   struct gather4_u8s8_some_isa {
//     name, needs, x_code, acc_type, group_k, weight, in_place<N>;  // as in column_atom.hpp
//     using packed_x;                            // element of a row of X, in the order of k
//     static void pack_row(const x_code* x, std::size_t k, packed_x* out);
//     template <std::size_t Sets, std::size_t Members> class step_sums {  // Sets sets of Members channels each
//       void add(std::size_t groups, const packed_x* x, const std::uint16_t* list, const weight* w);
//                                                // of each set, in turns
//       template <std::size_t... Channel> void add_to(acc_type* sums) const;
//                                                // of a panel, four elements: of the step's channels, set by set
//     };
//   };

#include <sparq/simd/columns/scalar_columns.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/wrapping.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Plain C++: sums in the order of the lists.
template <class X, class Weight, class Sum, std::size_t GroupK>
struct scalar_gather : scalar_lists<X, Weight, Sum, GroupK> {
  static void pack_row(const X* x, std::size_t k, X* out) {
    copy_elements(x, k, out);
  }
  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    void add(std::size_t groups, const X* x, const std::uint16_t* list, const Weight* w) {
      for (std::size_t g = 0; g < groups; ++g)
        for (std::size_t set = 0; set < Sets; ++set, list += GroupK)
          for (std::size_t c = 0; c < Members; ++c, w += GroupK)
            for (std::size_t i = 0; i < GroupK; ++i)
              sums_[set * Members + c] =
                  plus(sums_[set * Members + c], static_cast<Sum>(w[i]) * static_cast<Sum>(x[list[i]]));
    }
    template <std::size_t... Channel>
    void add_to(Sum* sums) const {
      std::size_t next = 0;
      ((sums[Channel] = plus(sums[Channel], sums_[next++])), ...);
    }

   private:
    Sum sums_[Sets * Members] = {};
  };
};

}  // namespace machine

/// Four products of bytes, summed into int32.
template <integer_numeric X, integer_numeric W>
struct gather4_scalar : machine::scalar_gather<typename X::code, typename W::code, std::int32_t, 4> {
  static constexpr std::string_view name = machine::atom_name<"gather4_", X, W, "_scalar">;
};

/// One product of floats.
template <numeric X, numeric W>
struct gather1_scalar : machine::scalar_gather<typename X::code, float, float, 1> {
  static constexpr std::string_view name = machine::atom_name<"gather1_", X, W, "_scalar">;
};
using gather1_f32f32_scalar = gather1_scalar<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq
