// SPDX-License-Identifier: MIT
// expect: sparq: n_m<N,M> keeps N of every M; choose 1 <= N <= M <= 32
#include <sparq/format/n_m.hpp>

sparq::status conforms(sparq::mask_view keep) { return sparq::conforms<sparq::n_m<5, 4>>(keep); }
