// SPDX-License-Identifier: MIT
// The main function of every test program, with Catch2's own code when that is header-only (v2).
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.hpp"

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
