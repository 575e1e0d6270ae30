// SPDX-License-Identifier: MIT
#include "examples/explore/csv.hpp"

#include "tests/support/catch.hpp"

#include <limits>

using namespace explore;

TEST_CASE("explore: one line of the CSV for each measurement, with the break-even point of its format") {
  report found;
  found.layers.push_back({"a \"layer\"", 128, 768, 3072, "gemm", "s", 0});
  measurement dense, sparse;
  dense.format = "dense";
  dense.numeric = sparse.numeric = "s8";
  dense.vs_dense = 1;
  dense.sqnr_db = std::numeric_limits<double>::infinity();
  sparse.format = "n_m<2,4>";
  sparse.sparsity = 0.5;
  sparse.bytes_per_weight = 0.625;
  sparse.hot_seconds = 2e-3;
  sparse.rotating_seconds = 4e-3;
  sparse.gmacs = 151;
  sparse.vs_dense = 1.25;
  sparse.vs_dense_rotating = 1.5;
  sparse.pack_seconds = 5e-4;
  sparse.slot_efficiency = 0.875;
  sparse.sqnr_db = 40.5;
  sparse.max_error = 0.01;
  found.measurements = {dense, sparse};
  found.break_evens.push_back({0, "n_m<2,4>", "f32", 0.9, false});
  found.break_evens.push_back({0, "n_m<2,4>", "s8", 0.25, true});
  CHECK(to_csv(found) ==
        "layer,m,n,k,format,numeric,sparsity,bytes_per_weight,microseconds,gmacs,vs_dense,cold_microseconds,"
        "vs_dense_cold,packing_microseconds,slot_efficiency,sqnr_db,max_error,break_even,break_even_at_most\r\n"
        "\"a \"\"layer\"\"\",128,768,3072,\"dense\",\"s8\",0,0,0,0,1,,,0,,inf,0,,\r\n"
        "\"a \"\"layer\"\"\",128,768,3072,\"n_m<2,4>\",\"s8\",0.5,0.625,2000,151,1.25,4000,1.5,500,0.875,40.5,0.01,0.25,1\r\n");
  found.break_evens.back().sparsity.reset();
  const std::string csv = to_csv(found);
  CHECK(csv.substr(csv.size() - 8) == "0.01,,\r\n");
}
