// SPDX-License-Identifier: MIT
#pragma once
// From which sparsity on a format is as fast as dense. Between two measured points speed is taken as a straight line
// over density with both axes logarithmic, which is exact for a kernel whose time is proportional to a power of the
// weights that it keeps.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

namespace explore {

struct speed_point {
  double sparsity = 0;
  double vs_dense = 0;  // speed over the speed of dense
};

struct crossing {
  std::optional<double> sparsity;  // none: slower than dense at the highest sparsity
  bool at_most = false;            // no point is slower: the crossing lies at `sparsity`, the lowest, or below
};

/// The sparsity from which on no point is slower than dense. @pre speeds are positive
inline crossing find_crossing(std::vector<speed_point> points) {
  std::sort(points.begin(), points.end(),
            [](const speed_point& a, const speed_point& b) { return a.sparsity < b.sparsity; });
  std::size_t ahead = points.size();  // points[ahead...] are at least as fast as dense
  while (ahead > 0 && points[ahead - 1].vs_dense >= 1) --ahead;
  if (ahead == points.size()) return {};
  if (ahead == 0) return {points[0].sparsity, true};

  const speed_point& below = points[ahead - 1];
  const speed_point& above = points[ahead];
  const auto log_density = [](double sparsity) { return std::log((std::max)(1 - sparsity, 1e-9)); };
  const double share = std::log(below.vs_dense) / (std::log(below.vs_dense) - std::log(above.vs_dense));
  const double from = log_density(below.sparsity);
  return {1 - std::exp(from + share * (log_density(above.sparsity) - from)), false};
}

}  // namespace explore
