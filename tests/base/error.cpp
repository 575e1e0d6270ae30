// SPDX-License-Identifier: MIT
#include <sparq/base/error.hpp>

#include "tests/support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

std::string what_is_raised(auto&& action) {
  try {
    action();
  } catch (const sparq::error& e) {
    return e.what();
  }
  return "nothing";
}

sparq::expected<int> parse_digit(char c) {
  if (c < '0' || c > '9') return sparq::status::failure("not a digit");
  return c - '0';
}

}  // namespace

TEST_CASE("error: a status is ok until it is made a failure") {
  const sparq::status ok;
  CHECK(ok.ok());
  CHECK(static_cast<bool>(ok));
  CHECK(ok.message().empty());
  CHECK(what_is_raised([&] { ok.value(); }) == "nothing");

  const sparq::status failure = sparq::status::failure("row 3 is out of range");
  CHECK_FALSE(failure.ok());
  CHECK_FALSE(static_cast<bool>(failure));
  CHECK(failure.message() == "row 3 is out of range");
  CHECK(what_is_raised([&] { failure.value(); }) == "row 3 is out of range");
}

TEST_CASE("error: a failure may have an empty message and stays a failure") {
  CHECK_FALSE(sparq::status::failure("").ok());
}

TEST_CASE("error: expected gives the value or the sentence") {
  const sparq::expected<int> seven = parse_digit('7');
  REQUIRE(seven.ok());
  CHECK(*seven == 7);
  CHECK(seven.value() == 7);

  const sparq::expected<int> none = parse_digit('x');
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().message() == "not a digit");
  CHECK(what_is_raised([&] { static_cast<void>(none.value()); }) == "not a digit");
}

TEST_CASE("error: expected holds types that only move") {
  sparq::expected<std::unique_ptr<int>> held = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(held).value();
  REQUIRE(taken != nullptr);
  CHECK(*taken == 5);
}

TEST_CASE("error: raise throws sparq::error, which is a std::runtime_error") {
  CHECK(what_is_raised([] { sparq::raise("k is 0"); }) == "k is 0");
  CHECK_THROWS_AS(sparq::raise("k is 0"), std::runtime_error);
}
