// SPDX-License-Identifier: MIT
// expect only: sparq: with -ffast-math requantization is not exact and NaN is not refused; add -fno-fast-math
#define __FAST_MATH__ 1  // what the flag defines
#include <sparq/base/config.hpp>
