// SPDX-License-Identifier: MIT
// expect: sparq: a block needs at least one channel and one k; use block<R,C> with R, C >= 1
#include <sparq/format/block.hpp>

sparq::status conforms(sparq::mask_view keep) { return sparq::conforms<sparq::block<0, 4>>(keep); }
