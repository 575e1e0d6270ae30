// SPDX-License-Identifier: MIT
#pragma once
// Everything in one include, except tensor/print.hpp (needs fmt) and testing/ (for tests of formats of your own).

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/base/memory.hpp>
