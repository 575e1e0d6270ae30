// SPDX-License-Identifier: MIT
#pragma once
// What the program can know about the machine and about itself without measuring.

#include "results.hpp"

#include <cstdint>
#include <string>

namespace explore {

/// CPU, caches, compiler, flags and sources; the peaks are left at 0. Caches are empty where the system does not tell.
machine describe_machine(std::uint64_t seed);

/// The time of day in UTC, ISO 8601.
std::string utc_now();

}  // namespace explore
