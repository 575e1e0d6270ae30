// SPDX-License-Identifier: MIT
// The networks of the external test data: every layer by itself on what the reference computed before it, and all
// layers together on all recorded inputs.

#include "examples/explore/network_run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/data.hpp"

#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>

namespace {

using explore::network;
using explore::network_runner;

/// The network of this name, if the data is there.
std::optional<network> find_network(const std::string& name) {
  const auto folder = test_data();
  if (!folder) return std::nullopt;
  return explore::load_network(std::filesystem::path(*folder) / "networks" / name);
}

template <class T>
explore::agreement compare_bytes(const network& net, std::span<const std::byte> got, std::span<const std::byte> want) {
  std::vector<T> elements(got.size() / sizeof(T));
  std::memcpy(elements.data(), got.data(), got.size());
  sparq::npy_array wanted{sparq::detail::stored_type<T>(), {elements.size()}, sparq::aligned_buffer(want.size())};
  std::memcpy(wanted.data.data(), want.data(), want.size());
  return explore::compare(net.compare, std::span<const T>(elements), wanted);
}

/// Each operation alone, for the inputs of which the reference's layer outputs are recorded.
template <class T>
void check_layers(const network& net) {
  network_runner runner(net);
  sparq::workspace scratch;
  std::vector<const sparq::npy_array*> known(net.tensors.size());
  known[net.input] = &net.data.inputs;
  for (const explore::operation& op : net.operations)
    if (op.expected) known[op.output] = &*op.expected;
  std::size_t compared = 0;
  for (std::size_t o = 0; o < net.operations.size(); ++o) {
    const explore::operation& op = net.operations[o];
    REQUIRE(op.expected);
    for (std::size_t i = 0; i < op.expected->shape[0]; ++i) {
      const auto input = explore::entry(*known[op.inputs[0]], i);
      std::memcpy(runner.activation(op.inputs[0]).data(), input.data(), input.size());
      runner.run_operation(o, scratch);
      const auto found = compare_bytes<T>(net, runner.activation(op.output), explore::entry(*op.expected, i));
      INFO(net.name << ", operation " << o << ", " << op.name() << ", input " << i << ": " << found.outside << " of "
                    << found.elements << " elements differ, by " << found.largest_difference << " at most");
      CHECK(found.outside == 0);
      compared += found.elements;
    }
  }
  REQUIRE(compared > 0);
  std::cout << net.name << ": " << net.operations.size() << " operations one by one, " << compared << " elements\n";
}

/// The whole network on all inputs; the caller's scratch does not grow after the first.
void check_network(const network& net, std::size_t inputs) {
  network_runner runner(net);
  sparq::workspace scratch;
  runner.run(explore::entry(net.data.inputs, 0), scratch);
  const std::size_t needed = scratch.size();
  const explore::network_run found = explore::run_network(net, runner, scratch);
  CHECK(found.inputs == inputs);
  CHECK(found.matches == inputs);
  CHECK(scratch.size() == needed);
  std::cout << net.name << ": " << found.matches << " of " << found.of << " outputs match, " << found.bytes
            << " bytes of weights, " << needed << " of scratch";
  if (found.labelled != 0) {
    const double top1 = static_cast<double>(found.top1_correct) / static_cast<double>(found.labelled);
    std::cout << ", top-1 " << top1;
    REQUIRE(net.data.reference_top1);
    CHECK(top1 == Approx(*net.data.reference_top1));
  }
  std::cout << '\n';
}

}  // namespace

TEST_CASE("networks: keyword spotting, each layer and all 96 inputs to the bit") {
  if (const auto net = find_network("mlperf_kws_dscnn_int8")) {
    check_layers<std::int8_t>(*net);
    check_network(*net, 96);
  }
}

TEST_CASE("networks: the sine of all 256 input codes to the bit") {
  if (const auto net = find_network("tflm_hello_world_sine_int8")) {
    check_layers<std::int8_t>(*net);
    check_network(*net, 256);
  }
}

TEST_CASE("networks: handwritten digits in f32 within the tolerance") {
  if (const auto net = find_network("cntk_mnist_conv_f32")) {
    check_layers<float>(*net);
    check_network(*net, 200);
  }
}
