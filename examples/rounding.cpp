// SPDX-License-Identifier: MIT
// One accumulator, one factor, four ecosystems: which integer comes out depends on the rounding policy.

#include <sparq/numeric/requantize.hpp>

#include <cstdio>

namespace {

template <class Parameters>
void print_row(const Parameters& parameters) {
  std::printf("%-18s", Parameters::policy::name.data());
  for (const int acc : {-6, -2, 2, 6, 10}) std::printf("%6d", Parameters::policy::apply(acc, parameters));
  std::printf("\n");
}

}  // namespace

int main() {
  std::printf("%-18s%6.1f%6.1f%6.1f%6.1f%6.1f\n", "acc / 4 =", -1.5, -0.5, 0.5, 1.5, 2.5);
  //! [policies]
  print_row(sparq::tflite_double::from_real(0.25));                    // ties away from zero
  print_row(sparq::tflite_single::from_real(0.25));                    // ties up
  print_row(sparq::fp32_nearest_even::from_scales(0.5F, 0.5F, 1.0F));  // ties to even
  print_row(sparq::floor_shift::parameters{1, 0, 2});                  // down
  //! [policies]

  //! [golden]
  // tensorflow#25087: the exact product is 11.4991.
  static_assert(sparq::tflite_double::apply(7984, {1583594044, -9}) == 12, "rounded twice, up both times");
  static_assert(sparq::tflite_single::apply(7984, {1583594044, -9}) == 11, "rounded once");
  //! [golden]
}
