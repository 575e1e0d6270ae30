// SPDX-License-Identifier: MIT
#pragma once
// Runs a loaded network with the library's operations: dense packed weights, one input at a time. Activations and
// packed weights are allocated when the runner is made, scratch belongs to the caller; running allocates nothing.

#include "network.hpp"
#include "results.hpp"

#include <sparq/kernel/workspace.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace explore {

class network_runner {
 public:
  /// Packs the weights of `net`, which must outlive the runner. Activations are s8 or f32. Throws sparq::error that
  /// names the operation which the library cannot run as the network asks.
  explicit network_runner(const network& net);
  network_runner(network_runner&&) = default;
  network_runner& operator=(network_runner&&) = default;

  /// All packed weights and the weights of depthwise convolutions, biases not counted.
  std::size_t weight_bytes() const { return weight_bytes_; }

  /// The elements of an activation. Writing the network's input and running all operations runs the network.
  std::span<std::byte> activation(std::size_t tensor) { return activations_[tensor].bytes(); }

  /// Runs one operation on what its input holds. Throws sparq::error if a fixed workspace is too small.
  void run_operation(std::size_t operation, sparq::workspace& scratch) { steps_[operation](scratch); }

  /// Runs all operations on one input and returns the output, which the next call overwrites.
  /// @pre `input` has as many bytes as the network's input tensor
  std::span<const std::byte> run(std::span<const std::byte> input, sparq::workspace& scratch);

 private:
  template <class T>
  void add_step(const operation& op);

  const network* net_;
  std::vector<sparq::aligned_buffer> activations_;  // by tensor; empty for constants
  std::vector<std::function<void(sparq::workspace&)>> steps_;
  std::size_t weight_bytes_ = 0;
};

/// The elements of entry i of an array whose first extent counts entries.
std::span<const std::byte> entry(const sparq::npy_array& array, std::size_t i);

/// Runs all recorded inputs. An output matches if all its elements agree with the recorded one. Everything of the
/// result is filled in except seconds_per_input and note.
network_run run_network(const network& net, network_runner& runner, sparq::workspace& scratch);

}  // namespace explore
