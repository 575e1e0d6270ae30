// SPDX-License-Identifier: MIT
#pragma once
// Catch2 v3, or v2 as Debian 12 packages it: the tests use only what both have.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
