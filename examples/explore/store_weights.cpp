// SPDX-License-Identifier: MIT
#include "store_weights.hpp"

#include <sparq/compress/cluster.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace explore {
namespace {

struct stored_weights {
  std::vector<float> decoded;
  std::size_t bytes = 0;
};

template <sparq::numeric N>
stored_weights store(std::span<const float> weights, sparq::weight_shape shape) {
  const auto as = [&] {
    if constexpr (sparq::has_tables<N>) {
      const sparq::mask all(shape);
      auto found = sparq::cluster<N>(weights, shape, all);
      return sparq::encode_codes<sparq::dense, N>(found.codes, shape, all, std::move(found.tables),
                                                  std::move(found.scales));
    } else {
      return sparq::encode<sparq::dense, N>(weights, shape);
    }
  }();
  return {sparq::decode(as), as.bytes()};
}

struct choice {
  const char* name;
  stored_weights (*store)(std::span<const float>, sparq::weight_shape);
};
constexpr choice choices[] = {{"f32", store<sparq::f32>},
                              {"bf16", store<sparq::bf16>},
                              {"f16", store<sparq::f16>},
                              {"s8", store<sparq::s8>},
                              {"s7", store<sparq::s7>},
                              {"s6", store<sparq::s6>},
                              {"s5", store<sparq::s5>},
                              {"s4", store<sparq::s4>},
                              {"pow2<4>", store<sparq::pow2<4>>},
                              {"codebook<4>", store<sparq::codebook<4>>},
                              {"s3", store<sparq::s3>},
                              {"s2", store<sparq::s2>},
                              {"ternary", store<sparq::ternary>},
                              {"binary", store<sparq::binary>}};

/// The weights' tensor of an operation that has any.
network_tensor* weights_of(network& net, const operation& op) {
  const bool has_weights = std::holds_alternative<conv_2d>(op.attributes) ||
                           std::holds_alternative<depthwise_conv_2d>(op.attributes) ||
                           std::holds_alternative<fully_connected>(op.attributes);
  return has_weights ? &net.tensors[op.inputs[1]] : nullptr;
}

}  // namespace

std::size_t store_weights(network& net, const std::string& numeric) {
  for (const choice& one : choices) {
    if (one.name != numeric) continue;
    std::size_t bytes = 0;
    for (const operation& op : net.operations) {
      network_tensor* const tensor = weights_of(net, op);
      if (tensor == nullptr) continue;
      sparq::aligned_buffer& data = tensor->constant->data;
      // a depthwise layer's 1HWO stays as it is: its few weights are not a matrix of output channels by k
      if (std::holds_alternative<depthwise_conv_2d>(op.attributes)) {
        bytes += data.size();
        continue;
      }
      const std::span<float> weights(reinterpret_cast<float*>(data.data()), data.size() / sizeof(float));
      const std::size_t n = tensor->shape[0];
      const stored_weights stored = one.store(weights, {n, weights.size() / n});
      std::ranges::copy(stored.decoded, weights.begin());
      bytes += stored.bytes;
    }
    return bytes;
  }
  sparq::raise("no numeric type is called " + numeric);
}

}  // namespace explore
