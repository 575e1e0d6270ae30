// SPDX-License-Identifier: MIT
#include <sparq/compress/scores.hpp>

#include "../support/catch.hpp"

#include <vector>

TEST_CASE("scores: as many finite values as the shape says are valid") {
  const std::vector<float> values = {0.0F, -3.0F, 3.4e38F, 1e-45F, -0.0F, 7.0F};
  CHECK(sparq::validate({values, {2, 3}}).ok());
  CHECK(sparq::validate(sparq::score_matrix{{}, {0, 3}}).ok());
}

TEST_CASE("scores: an element is found by its channel and k") {
  const std::vector<float> values = {0, 1, 2, 3, 4, 5};
  const sparq::score_matrix scores{values, {2, 3}};
  CHECK(scores(0, 2) == 2);
  CHECK(scores(1, 1) == 4);
}

TEST_CASE("scores: wrong sizes and extents are refused") {
  const std::vector<float> values(6);
  CHECK(sparq::validate({values, {2, 4}}).message() == "6 scores for a matrix of 2 x 4");
  CHECK_FALSE(sparq::validate({values, {std::size_t{1} << 40, 1}}).ok());
}

TEST_CASE("scores: the first value that is not finite is named") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values(6);
  values[5] = -infinity;
  CHECK(sparq::validate({values, {2, 3}}).message() == "the score -inf at [n=1][k=2] is not finite");
  values[4] = std::numeric_limits<float>::quiet_NaN();
  CHECK(sparq::validate({values, {2, 3}}).message() == "the score nan at [n=1][k=1] is not finite");
}

TEST_CASE("scores: Taylor scores are squared products, summed over mini-batches") {
  const std::vector<float> weights = {1.0F, -2.0F, 0.0F};
  std::vector<float> scores = {0.5F, 0.0F, 0.0F};
  sparq::add_taylor_scores(weights, std::vector<float>{3.0F, 1.0F, 9.0F}, scores);
  sparq::add_taylor_scores(weights, std::vector<float>{-1.0F, 0.5F, 9.0F}, scores);
  CHECK(scores == std::vector<float>{10.5F, 5.0F, 0.0F});
}

TEST_CASE("scores: a sparsity lies in [0, 1)") {
  CHECK(sparq::check_sparsity(0).ok());
  CHECK(sparq::check_sparsity(0.999).ok());
  CHECK(sparq::check_sparsity(1).message() == "a sparsity of 1 is outside [0, 1)");
  CHECK(sparq::check_sparsity(-0.25).message() == "a sparsity of -0.25 is outside [0, 1)");
  CHECK(sparq::check_sparsity(std::numeric_limits<double>::quiet_NaN()).message() ==
        "a sparsity of nan is outside [0, 1)");
}

TEST_CASE("scores: what is kept is rounded to the nearest count") {
  CHECK(sparq::kept_count(10, 0.0) == 10);
  CHECK(sparq::kept_count(10, 0.5) == 5);
  CHECK(sparq::kept_count(10, 0.96) == 0);
  CHECK(sparq::kept_count(10, 0.94) == 1);
  CHECK(sparq::kept_count(16777216, 0.9) == 1677722);
}
