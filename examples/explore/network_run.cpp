// SPDX-License-Identifier: MIT
#include "network_run.hpp"

#include <sparq/format/dense.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/op/depthwise.hpp>
#include <sparq/op/pool.hpp>
#include <sparq/op/softmax.hpp>
#include <sparq/tensor/encode.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace explore {
namespace {

using sparq::image_view;

template <class T>
inline constexpr bool is_float = std::is_same_v<T, float>;
template <class T>
using sum_of = std::conditional_t<is_float<T>, float, std::int32_t>;
template <class T>
using granularity_of = std::conditional_t<is_float<T>, sparq::unquantized, sparq::per_tensor>;
template <class T>
using packed_weights =
    decltype(sparq::pack(std::declval<sparq::tensor<sparq::dense, sparq::numeric_of_t<T>, granularity_of<T>>>()));

sparq::window_parameters window_of(const window_2d& w) {
  sparq::window_parameters window;
  window.kernel_height = w.size[0];
  window.kernel_width = w.size[1];
  window.stride_y = w.stride[0];
  window.stride_x = w.stride[1];
  window.dilation_y = w.dilation[0];
  window.dilation_x = w.dilation[1];
  window.pad_top = w.pad[0];
  window.pad_left = w.pad[1];
  window.pad_bottom = w.pad[2];
  window.pad_right = w.pad[3];
  return window;
}

// The part of the range that T can hold.
template <class T>
sparq::value_range<T> range_of(const clamp_range& r) {
  const sparq::value_range<T> all;
  const auto bound = [&](double value) {
    return static_cast<T>(std::clamp(value, static_cast<double>(all.low), static_cast<double>(all.high)));
  };
  return {bound(r.min), bound(r.max)};
}

// From sums to outputs: a bias, and for codes the requantization.
template <class T>
class layer_output {
 public:
  layer_output(const network_tensor* bias, std::size_t channels, const clamp_range& range,
               const std::optional<network_requantization>& requantization)
      : range_(range_of<T>(range)), bias_(channels) {
    if (bias != nullptr) std::ranges::copy(bias->constant->template as<sum_of<T>>(), bias_.begin());
    if (!requantization) return;
    zero_point_ = requantization->output_zero_point;
    for (std::size_t n = 0; n < channels; ++n) {
      const std::size_t i = requantization->multiplier.size() == 1 ? 0 : n;
      scales_.push_back({requantization->multiplier[i], requantization->shift[i]});
    }
  }

  // The stages after those that are given.
  template <class... First>
  auto stages(First... first) const {
    const sparq::bias add_bias{std::span(bias_)};
    if constexpr (is_float<T>)
      return sparq::epilogue(first..., add_bias, sparq::clamp(range_.low, range_.high));
    else
      return sparq::epilogue(
          first..., add_bias,
          sparq::requantize_to_codes<sparq::s8>(std::span(scales_), zero_point_, range_.low, range_.high));
  }

 private:
  sparq::value_range<T> range_;
  std::vector<sum_of<T>> bias_;
  std::vector<sparq::tflite_double::parameters> scales_;
  std::int32_t zero_point_ = 0;
};

// A layer whose weights are packed; a fully connected one is a convolution of single pixels.
template <class T>
struct packed_layer {
  std::vector<packed_weights<T>> groups;
  std::vector<typename packed_weights<T>::view_type> views;
  layer_output<T> output;
  sparq::window_parameters window;
  T zero_point{};

  packed_layer(const network_tensor& weights, std::size_t group_count, layer_output<T> out) : output(std::move(out)) {
    using numeric = sparq::numeric_of_t<T>;
    const std::span<const T> codes = weights.constant->template as<T>();
    const std::size_t n = weights.shape[0] / group_count;
    const sparq::weight_shape shape{n, codes.size() / weights.shape[0]};
    const std::vector<float> scales(is_float<T> ? 0 : 1, 1.0F);
    for (std::size_t g = 0; g < group_count; ++g)
      groups.push_back(pack(sparq::encode_codes<sparq::dense, numeric, granularity_of<T>>(
          codes.subspan(g * shape.size(), shape.size()), shape, scales)));
    for (const auto& group : groups) views.push_back(group.view());
  }

  std::size_t bytes() const {
    std::size_t total = 0;
    for (const auto& group : groups) total += group.bytes();
    return total;
  }
  void run(image_view<const T> x, image_view<T> y, sparq::workspace& scratch) const {
    const std::span<const typename packed_weights<T>::view_type> all(views);
    if constexpr (is_float<T>)
      sparq::conv2d(x, all, y, window, zero_point, output.stages(), sparq::serial, scratch);
    else
      sparq::conv2d(x, all, y, window, zero_point, output.stages(sparq::subtract_zero_point(zero_point)), sparq::serial,
                    scratch);
  }
};

// What one operation becomes: a function of the scratch memory alone.
template <class T>
class step_maker {
 public:
  using step = std::function<void(sparq::workspace&)>;

  step_maker(const network& net, std::vector<sparq::aligned_buffer>& activations, const operation& op)
      : net_(net), activations_(activations), op_(op) {}

  std::size_t weight_bytes() const { return weight_bytes_; }

  step operator()(const conv_2d& conv) {
    return layer(conv.groups, window_of(conv.window), conv.range, conv.requantization);
  }
  step operator()(const fully_connected& full) { return layer(1, {}, full.range, full.requantization); }
  step operator()(const depthwise_conv_2d& conv) {
    const std::span<const T> weights = tensor(1).constant->template as<T>();
    weight_bytes_ = weights.size_bytes();
    const layer_output<T> out =
        output(weights.size() / tensor(1).shape[1] / tensor(1).shape[2], conv.range, conv.requantization);
    return [x = image(op_.inputs[0]), y = image(op_.output), weights, window = window_of(conv.window),
            zero_point = zero_point(conv.requantization), out](sparq::workspace&) {
      sparq::depthwise_conv2d(x, weights, y, window, zero_point, out.stages(), sparq::serial);
    };
  }
  step operator()(const average_pool_2d& pool) {
    const auto& points = tensor(0).zero_points;
    const sparq::average_padding<T> padding{pool.count_include_pad, points.empty() ? T{} : static_cast<T>(points[0])};
    return [x = image(op_.inputs[0]), y = image(op_.output), window = window_of(pool.window),
            range = range_of<T>(pool.range),
            padding](sparq::workspace&) { sparq::average_pool2d(x, y, window, range, padding, sparq::serial); };
  }
  step operator()(const max_pool_2d& pool) {
    return
        [x = image(op_.inputs[0]), y = image(op_.output), window = window_of(pool.window),
         range = range_of<T>(pool.range)](sparq::workspace&) { sparq::max_pool2d(x, y, window, range, sparq::serial); };
  }
  step operator()(const reshape&) {
    return [from = activations_[op_.inputs[0]].bytes(), to = activations_[op_.output].bytes()](sparq::workspace&) {
      std::memcpy(to.data(), from.data(), to.size());
    };
  }
  step operator()(const softmax& soft) {
    const auto x = image(op_.inputs[0]).as_matrix(), y = image(op_.output).as_matrix();
    if constexpr (is_float<T>) {
      if (soft.beta != 1) refuse("has beta " + std::to_string(soft.beta) + "; it is 1 for f32");
      return [x, y](sparq::workspace&) { sparq::softmax(x, y); };
    } else {
      const sparq::softmax_parameters p{soft.integer->input_multiplier, soft.integer->input_left_shift,
                                        soft.integer->diff_min};
      return [x, y, p](sparq::workspace&) { sparq::softmax(x, y, p); };
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    sparq::raise(net_.name + ": the " + std::string(op_.name()) + " that writes tensor " + std::to_string(op_.output) +
                 " " + what);
  }
  const network_tensor& tensor(std::size_t input) const { return net_.tensors[op_.inputs[input]]; }

  // An activation as an image; one of two extents has single pixels.
  image_view<T> image(std::size_t id) const {
    const std::vector<std::size_t>& shape = net_.tensors[id].shape;
    auto* const data = reinterpret_cast<T*>(activations_[id].data());
    if (shape.size() == 4) return {data, shape[0], shape[1], shape[2], shape[3]};
    if (shape.size() == 2) return {data, shape[0], 1, 1, shape[1]};
    refuse("has an activation of " + std::to_string(shape.size()) + " extents; 2 and 4 are supported");
  }

  T zero_point(const std::optional<network_requantization>& requantization) const {
    return requantization ? static_cast<T>(requantization->input_zero_point) : T{};
  }
  layer_output<T> output(std::size_t channels, const clamp_range& range,
                         const std::optional<network_requantization>& requantization) const {
    if (requantization && requantization->rounding != requant_rounding::gemmlowp_double)
      refuse("rounds otherwise than gemmlowp_double");
    if (requantization && requantization->weight_zero_point != 0)
      refuse("has the weight zero point " + std::to_string(requantization->weight_zero_point) + "; it is 0 for s8");
    return {op_.inputs.size() == 3 ? &tensor(2) : nullptr, channels, range, requantization};
  }

  step layer(std::size_t groups, const sparq::window_parameters& window, const clamp_range& range,
             const std::optional<network_requantization>& requantization) {
    const auto packed =
        std::make_shared<packed_layer<T>>(tensor(1), groups, output(tensor(1).shape[0], range, requantization));
    packed->window = window;
    packed->zero_point = zero_point(requantization);
    weight_bytes_ = packed->bytes();
    return [packed, x = image(op_.inputs[0]), y = image(op_.output)](sparq::workspace& scratch) {
      packed->run(x, y, scratch);
    };
  }

  const network& net_;
  std::vector<sparq::aligned_buffer>& activations_;
  const operation& op_;
  std::size_t weight_bytes_ = 0;
};

template <class T>
std::size_t largest(std::span<const std::byte> values) {
  std::vector<T> elements(values.size() / sizeof(T));
  std::memcpy(elements.data(), values.data(), values.size());
  return static_cast<std::size_t>(std::max_element(elements.begin(), elements.end()) - elements.begin());
}

template <class T>
bool agrees(const comparison_rule& rule, std::span<const std::byte> got, std::span<const std::byte> want) {
  std::vector<T> elements(got.size() / sizeof(T));
  std::memcpy(elements.data(), got.data(), got.size());
  sparq::npy_array wanted{sparq::detail::stored_type<T>(), {elements.size()}, sparq::aligned_buffer(want.size())};
  std::ranges::copy(want, wanted.data.data());
  return compare(rule, std::span<const T>(elements), wanted).outside == 0;
}

}  // namespace

network_runner::network_runner(const network& net) : net_(&net), activations_(net.tensors.size()) {
  const auto type = net.tensors[net.input].type;
  for (std::size_t id = 0; id < net.tensors.size(); ++id) {
    const network_tensor& one = net.tensors[id];
    if (one.constant) continue;
    if (one.type != type || (type != sparq::element_type::s8 && type != sparq::element_type::f32))
      sparq::raise(net.name + ": tensor " + std::to_string(id) + " holds " + std::string(sparq::name(one.type)) +
                   "; all activations of a network are s8 or all are f32");
    std::size_t elements = 1;
    for (const std::size_t extent : one.shape) elements *= extent;
    activations_[id] = sparq::aligned_buffer(elements * sparq::element_bytes(type));
  }
  for (const operation& op : net.operations) {
    if (type == sparq::element_type::f32)
      add_step<float>(op);
    else
      add_step<std::int8_t>(op);
  }
}

template <class T>
void network_runner::add_step(const operation& op) {
  step_maker<T> make(*net_, activations_, op);
  steps_.push_back(std::visit(make, op.attributes));
  weight_bytes_ += make.weight_bytes();
}

std::span<const std::byte> network_runner::run(std::span<const std::byte> input, sparq::workspace& scratch) {
  std::ranges::copy(input, activation(net_->input).data());
  for (const auto& step : steps_) step(scratch);
  return activation(net_->output);
}

std::span<const std::byte> entry(const sparq::npy_array& array, std::size_t i) {
  const std::size_t bytes = array.data.size() / array.shape[0];
  return array.data.bytes().subspan(i * bytes, bytes);
}

network_run run_network(const network& net, network_runner& runner, sparq::workspace& scratch) {
  const bool floats = net.tensors[net.output].type == sparq::element_type::f32;
  network_run result;
  result.name = net.name;
  result.variant = floats ? "f32 dense" : "s8 dense";
  result.inputs = result.of = net.data.count();
  result.labelled = net.data.labels.size();
  result.bytes = runner.weight_bytes();
  for (std::size_t i = 0; i < result.inputs; ++i) {
    const auto got = runner.run(entry(net.data.inputs, i), scratch);
    const auto want = entry(net.data.expected, i);
    result.matches += floats ? agrees<float>(net.compare, got, want) : agrees<std::int8_t>(net.compare, got, want);
    if (i < result.labelled)
      result.top1_correct += (floats ? largest<float>(got) : largest<std::int8_t>(got)) == net.data.labels[i];
  }
  return result;
}

}  // namespace explore
