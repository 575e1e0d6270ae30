// SPDX-License-Identifier: MIT
#include "network.hpp"

#include "file.hpp"
#include "json_field.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace explore {
namespace {

using sparq::element_type;
using shape_type = std::vector<std::size_t>;

std::string shape_text(const shape_type& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

element_type element_type_of(const field& dtype) {
  static constexpr element_type types[] = {element_type::s8,  element_type::u8,  element_type::s16,
                                           element_type::s32, element_type::s64, element_type::f32};
  return types[dtype.one_of({"int8", "uint8", "int16", "int32", "int64", "float32"})];
}

clamp_range clamp_range_of(const field& attributes) {
  clamp_range range;
  if (const auto fused = attributes.find("fused_activation")) fused->one_of({"none", "relu", "relu6"});
  if (const auto min = attributes.find("activation_min"); min && !min->is_null()) range.min = min->real();
  if (const auto max = attributes.find("activation_max"); max && !max->is_null()) range.max = max->real();
  if (!(range.min <= range.max)) attributes.refuse("clamp to the empty range from {} to {}", range.min, range.max);
  return range;
}

// Reads and checks one network; the members are the network as far as it is known.
class network_reader {
 public:
  explicit network_reader(const std::filesystem::path& folder)
      : folder_(folder), file_((folder / "network.json").string()) {}

  network read() {
    const nlohmann::json document =
        nlohmann::json::parse(read_text(folder_ / "network.json"), nullptr, /*allow_exceptions=*/false);
    if (document.is_discarded()) sparq::raise(file_ + ": this is not JSON");
    const field root(document, file_, "the document");
    root["format"].one_of({"neutral-network/1"});
    result_.name = root["name"].text();
    for (const field& tensor : root["tensors"].list()) read_tensor(tensor);
    result_.input = single_tensor(root["inputs"]);
    result_.output = single_tensor(root["outputs"]);
    written_.assign(result_.tensors.size(), false);
    write(root["inputs"], result_.input);
    result_.compare = comparison(root["compare"]);
    if (const auto first = root.find("layer_outputs_for_first_inputs")) layer_inputs_ = first->integer<std::size_t>();
    for (const field& one : root["ops"].list()) read_operation(one);
    if (!written_[result_.output]) root["outputs"].refuse("names tensor {}, which no operation writes", result_.output);
    read_data(root["data"]);
    return std::move(result_);
  }

 private:
  const network_tensor& tensor(std::size_t id) const { return result_.tensors[id]; }

  // ---- files
  // The array in the file that `name` names, which must hold elements of `type` in `shape`.
  sparq::npy_array array(const field& name, element_type type, const shape_type& shape) const {
    auto loaded = sparq::try_load_npy(folder_ / name.text());
    if (!loaded) name.refuse("names a file that cannot be read: {}", loaded.error().message());
    if (loaded->type != type)
      name.refuse("names {}, which holds {} instead of {}", name.text(), sparq::name(loaded->type), sparq::name(type));
    if (loaded->shape != shape)
      name.refuse("names {}, which has shape {} instead of {}", name.text(), shape_text(loaded->shape),
                  shape_text(shape));
    return std::move(*loaded);
  }
  // `count` values of a tensor of batch 1.
  sparq::npy_array batch(const field& name, std::size_t count, std::size_t id,
                         std::optional<element_type> type = {}) const {
    shape_type shape = tensor(id).shape;
    if (shape.empty() || shape[0] != 1)
      name.refuse("belongs to tensor {} of shape {}, which has no batch of 1", id, shape_text(shape));
    shape[0] = count;
    return array(name, type.value_or(tensor(id).type), shape);
  }

  // ---- tensors
  void read_tensor(const field& entry) {
    const std::size_t id = result_.tensors.size();
    if (entry["id"].integer<std::size_t>() != id) entry["id"].refuse("is not the tensor's place in the list, {}", id);
    network_tensor one;
    one.shape = entry["shape"].integers<std::size_t>();
    for (std::size_t limit = std::size_t{1} << 32; const std::size_t extent : one.shape) {
      if (extent == 0 || extent > limit)
        entry["shape"].refuse("is {}; 1 to 2^32 elements are supported", shape_text(one.shape));
      limit /= extent;
    }
    one.type = element_type_of(entry["dtype"]);
    if (const auto file = entry.find("file")) one.constant = array(*file, one.type, one.shape);

    if (const auto scales = entry.find("scale"))
      for (const field& scale : scales->list()) {
        one.scales.push_back(scale.real());
        if (!(one.scales.back() > 0)) scale.refuse("is {}; scales are positive", one.scales.back());
      }
    if (const auto points = entry.find("zero_point"))
      for (const field& point : points->list()) one.zero_points.push_back(zero_point_of(point, one.type));
    if (one.zero_points.size() != one.scales.size())
      entry.refuse("has {} scales and {} zero points", one.scales.size(), one.zero_points.size());
    std::size_t channels = 1;
    if (const auto axis = entry.find("quant_axis")) {
      one.quant_axis = axis->integer<std::size_t>();
      if (*one.quant_axis >= one.shape.size())
        axis->refuse("is {} in a shape of {} extents", *one.quant_axis, one.shape.size());
      channels = one.shape[*one.quant_axis];
    }
    if (!one.scales.empty() && one.scales.size() != channels)
      entry["scale"].refuse("has {} numbers for {} channels", one.scales.size(), channels);
    result_.tensors.push_back(std::move(one));
  }

  // A zero point is a code, or padding would not be one.
  static std::int32_t zero_point_of(const field& point, element_type type) {
    return type == element_type::s8 ? point.integer<std::int8_t>() : point.integer<std::int32_t>();
  }

  std::size_t tensor_id(const field& id) const {
    const auto value = id.integer<std::int64_t>();
    if (value < 0 || static_cast<std::uint64_t>(value) >= result_.tensors.size())
      id.refuse("is tensor {}; the network has {}", value, result_.tensors.size());
    return static_cast<std::size_t>(value);
  }
  std::size_t single_tensor(const field& ids) const {
    const auto list = ids.list();
    if (list.size() != 1) ids.refuse("has {} tensors; one is supported", list.size());
    return tensor_id(list[0]);
  }
  void write(const field& where, std::size_t id) {
    if (tensor(id).constant) where.refuse("writes tensor {}, which is constant", id);
    if (written_[id]) where.refuse("writes tensor {}, which is already written", id);
    written_[id] = true;
  }

  // ---- operations
  void read_operation(const field& entry) {
    operation one;
    for (const field& id : entry["inputs"].list()) {
      one.inputs.push_back(tensor_id(id));
      if (!tensor(one.inputs.back()).constant && !written_[one.inputs.back()])
        id.refuse("is tensor {}, which nothing has written before", one.inputs.back());
    }
    one.output = single_tensor(entry["outputs"]);
    if (one.inputs.empty()) entry["inputs"].refuse("is empty");

    const field attributes = entry["attrs"];
    constexpr auto kinds = std::make_index_sequence<std::variant_size_v<operation_attributes>>();
    one.attributes = attributes_of(entry["op"], kinds);
    std::visit([&](auto& kind) { read(kind, entry, attributes, one); }, one.attributes);
    attributes.refuse_the_rest();
    if (const auto file = entry.find("expected_layer_output")) one.expected = batch(*file, layer_inputs_, one.output);
    write(entry["outputs"], one.output);
    result_.operations.push_back(std::move(one));
  }

  // The operation that `op` names, with nothing filled in.
  template <std::size_t... Kinds>
  static operation_attributes attributes_of(const field& op, std::index_sequence<Kinds...>) {
    const operation_attributes kinds[] = {std::variant_alternative_t<Kinds, operation_attributes>()...};
    return kinds[op.one_of({std::variant_alternative_t<Kinds, operation_attributes>::name...})];
  }

  void need_inputs(const field& entry, const operation& one, std::size_t least, std::size_t most) const {
    if (one.inputs.size() < least || one.inputs.size() > most)
      entry["inputs"].refuse("has {} tensors; {} takes {} to {}", one.inputs.size(), entry["op"].text(), least, most);
  }
  void need_extents(const field& entry, const char* what, std::size_t id, std::size_t extents) const {
    if (tensor(id).shape.size() != extents)
      entry.refuse("has the {} {}, tensor {}, where {} extents are needed", what, shape_text(tensor(id).shape), id,
                   extents);
  }
  void need_output(const field& entry, const operation& one, const shape_type& shape) const {
    if (tensor(one.output).shape != shape)
      entry.refuse("computes {}, but its output, tensor {}, has shape {}", shape_text(shape), one.output,
                   shape_text(tensor(one.output).shape));
  }
  void need_one_type(const field& entry, const operation& one) const {
    if (tensor(one.output).type != tensor(one.inputs[0]).type)
      entry.refuse("has input {} and output {}", sparq::name(tensor(one.inputs[0]).type),
                   sparq::name(tensor(one.output).type));
  }

  // Weights and bias are constant, and their types and extents fit input and output channels.
  void need_weights(const field& entry, const operation& one, const shape_type& shape, std::size_t channels) const {
    const element_type type = tensor(one.inputs[0]).type;
    const bool is_float = type == element_type::f32;
    const auto need = [&](const char* what, std::size_t id, element_type wanted, const shape_type& extents) {
      if (!tensor(id).constant) entry.refuse("has the {} tensor {}, which is not constant", what, id);
      if (tensor(id).type != wanted)
        entry.refuse("has {} {}, tensor {}, where {} is needed", sparq::name(tensor(id).type), what, id,
                     sparq::name(wanted));
      if (tensor(id).shape != extents)
        entry.refuse("has the {} {}, tensor {}, where {} is needed", what, shape_text(tensor(id).shape), id,
                     shape_text(extents));
    };
    need_one_type(entry, one);
    need("weights", one.inputs[1], is_float ? element_type::f32 : element_type::s8, shape);
    const auto sums = is_float ? element_type::f32 : type == element_type::s16 ? element_type::s64 : element_type::s32;
    if (one.inputs.size() == 3) need("bias", one.inputs[2], sums, {channels});
  }

  std::optional<network_requantization> requantization(const field& attributes, const operation& one,
                                                       std::size_t channels) const {
    if (tensor(one.inputs[0]).type == element_type::f32) return std::nullopt;
    network_requantization r;
    r.multiplier = attributes["requant_multiplier"].integers<std::int32_t>();
    r.shift = attributes["requant_shift"].integers<std::int32_t>();
    if (r.multiplier.size() != 1 && r.multiplier.size() != channels)
      attributes["requant_multiplier"].refuse("has {} numbers for {} channels", r.multiplier.size(), channels);
    if (r.shift.size() != r.multiplier.size())
      attributes["requant_shift"].refuse("has {} numbers for {} multipliers", r.shift.size(), r.multiplier.size());
    for (const field& shift : attributes["requant_shift"].list())
      if (const auto by = shift.integer<std::int32_t>(); by < -31 || by > 30)
        shift.refuse("is {}, not from -31 to 30", by);
    r.rounding =
        static_cast<requant_rounding>(attributes["rounding"].one_of({"gemmlowp-double", "reduced-multiplier-int64"}));
    r.input_zero_point = zero_point(attributes["input_zero_point"], one.inputs[0]);
    r.output_zero_point = zero_point(attributes["output_zero_point"], one.output);
    if (const auto point = attributes.find("weight_zero_point"))
      r.weight_zero_point = zero_point(*point, one.inputs[1]);
    return r;
  }
  // An attribute that repeats what the tensor says.
  std::int32_t zero_point(const field& attribute, std::size_t id) const {
    const std::int32_t point = zero_point_of(attribute, tensor(id).type);
    for (const std::int32_t own : tensor(id).zero_points)
      if (own != point) attribute.refuse("is {}, but tensor {} has zero point {}", point, id, own);
    return point;
  }

  // Fills in the window of an operation and returns the output's extents without channels.
  std::array<std::size_t, 2> slide(const field& entry, const field& attributes, const operation& one,
                                   window_2d& window) const {
    need_extents(entry, "input", one.inputs[0], 4);
    if (tensor(one.inputs[0]).shape[0] != 1) entry.refuse("has an input with a batch of more than 1");
    window.stride = attributes["stride"].extents<2>(1);
    window.pad = attributes["pad"].extents<4>(0);
    if (const auto dilation = attributes.find("dilation")) window.dilation = dilation->extents<2>(1);
    if (const auto padding = attributes.find("padding"))
      padding->one_of({"same", "valid"});  // `pad` says it in numbers
    std::array<std::size_t, 2> result;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const std::size_t padded = tensor(one.inputs[0]).shape[axis + 1] + window.pad[axis] + window.pad[axis + 2];
      const std::size_t reach = (window.size[axis] - 1) * window.dilation[axis] + 1;
      if (window.size[axis] == 0 || reach > padded)
        entry.refuse("has a window that reaches over {} of {} positions", reach, padded);
      result[axis] = (padded - reach) / window.stride[axis] + 1;
    }
    return result;
  }

  void read(conv_2d& conv, const field& entry, const field& attributes, const operation& one) const {
    need_inputs(entry, one, 2, 3);
    need_extents(entry, "weights", one.inputs[1], 4);
    attributes["weights_layout"].one_of({"OHWI"});
    const shape_type& weights = tensor(one.inputs[1]).shape;
    conv.groups = attributes["groups"].integer<std::size_t>();
    conv.window.size = {weights[1], weights[2]};
    const auto [down, across] = slide(entry, attributes, one, conv.window);
    const std::size_t inputs = tensor(one.inputs[0]).shape[3], outputs = weights[0];
    if (conv.groups == 0 || inputs % conv.groups != 0 || outputs % conv.groups != 0)
      attributes["groups"].refuse("is {} for {} input and {} output channels", conv.groups, inputs, outputs);
    need_weights(entry, one, {outputs, weights[1], weights[2], inputs / conv.groups}, outputs);
    need_output(entry, one, {1, down, across, outputs});
    conv.range = clamp_range_of(attributes);
    conv.requantization = requantization(attributes, one, outputs);
  }

  void read(depthwise_conv_2d& conv, const field& entry, const field& attributes, const operation& one) const {
    need_inputs(entry, one, 2, 3);
    need_extents(entry, "weights", one.inputs[1], 4);
    attributes["weights_layout"].one_of({"1HWO (o=in*multiplier+m)"});
    const shape_type& weights = tensor(one.inputs[1]).shape;
    conv.depth_multiplier = attributes["depth_multiplier"].integer<std::size_t>();
    conv.window.size = {weights[1], weights[2]};
    const auto [down, across] = slide(entry, attributes, one, conv.window);
    const std::size_t outputs = weights[3];
    if (conv.depth_multiplier == 0 || outputs % conv.depth_multiplier != 0 ||
        outputs / conv.depth_multiplier != tensor(one.inputs[0]).shape[3])
      attributes["depth_multiplier"].refuse("is {} for {} input and {} output channels", conv.depth_multiplier,
                                            tensor(one.inputs[0]).shape[3], outputs);
    need_weights(entry, one, {1, weights[1], weights[2], outputs}, outputs);
    need_output(entry, one, {1, down, across, outputs});
    conv.range = clamp_range_of(attributes);
    conv.requantization = requantization(attributes, one, outputs);
  }

  void read(fully_connected& layer, const field& entry, const field& attributes, const operation& one) const {
    need_inputs(entry, one, 2, 3);
    need_extents(entry, "input", one.inputs[0], 2);
    need_extents(entry, "weights", one.inputs[1], 2);
    attributes["weights_layout"].one_of({"OI"});
    const shape_type& input = tensor(one.inputs[0]).shape;
    const std::size_t outputs = tensor(one.inputs[1]).shape[0];
    need_weights(entry, one, {outputs, input[1]}, outputs);
    need_output(entry, one, {input[0], outputs});
    layer.range = clamp_range_of(attributes);
    layer.requantization = requantization(attributes, one, outputs);
  }

  void read_pool(const field& entry, const field& attributes, const operation& one, window_2d& window) const {
    need_inputs(entry, one, 1, 1);
    need_one_type(entry, one);
    window.size = attributes["window"].extents<2>(1);
    const auto [down, across] = slide(entry, attributes, one, window);
    need_output(entry, one, {1, down, across, tensor(one.inputs[0]).shape[3]});
  }
  void read(average_pool_2d& pool, const field& entry, const field& attributes, const operation& one) const {
    read_pool(entry, attributes, one, pool.window);
    if (const auto include = attributes.find("count_include_pad")) pool.count_include_pad = include->flag();
    pool.range = clamp_range_of(attributes);
  }
  void read(max_pool_2d& pool, const field& entry, const field& attributes, const operation& one) const {
    read_pool(entry, attributes, one, pool.window);
    pool.range = clamp_range_of(attributes);
  }

  void read(reshape& to, const field& entry, const field& attributes, const operation& one) const {
    need_inputs(entry, one, 1, 2);
    need_one_type(entry, one);
    to.shape = attributes["shape"].integers<std::size_t>();
    need_output(entry, one, to.shape);
    if (elements(to.shape) != elements(tensor(one.inputs[0]).shape))
      attributes["shape"].refuse("cannot hold the elements of {}", shape_text(tensor(one.inputs[0]).shape));
  }
  static std::size_t elements(const shape_type& shape) {
    std::size_t product = 1;
    for (const std::size_t extent : shape) product *= extent;
    return product;
  }

  void read(softmax& layer, const field& entry, const field& attributes, const operation& one) const {
    need_inputs(entry, one, 1, 1);
    need_one_type(entry, one);
    need_output(entry, one, tensor(one.inputs[0]).shape);
    layer.beta = attributes["beta"].real();
    if (tensor(one.inputs[0]).type == element_type::f32) return;
    attributes["algorithm"].one_of({"gemmlowp fixed-point"});
    layer.integer = softmax::fixed_point{attributes["input_multiplier"].integer<std::int32_t>(),
                                         attributes["input_left_shift"].integer<std::int32_t>(),
                                         attributes["diff_min"].integer<std::int32_t>()};
  }

  // ---- rule and data
  static comparison_rule comparison(const field& rule) {
    switch (rule["kind"].one_of({"bit-exact", "tolerance", "max-abs-diff"})) {
      case 0:
        return {};
      case 1:
        return {false, rule["rtol"].real(), rule["atol"].real()};
      default:
        return {false, 0, rule["value"].real()};
    }
  }

  void read_data(const field& data) {
    const auto count = data["n"].integer<std::size_t>();
    if (count == 0) data["n"].refuse("is 0; one input is the least");
    if (const auto images = data.find("inputs_uint8")) {
      data["preprocess"].one_of({"float32 input = uint8 as float"});
      const auto files = images->list();
      if (files.size() != 1) images->refuse("has {} files; one is supported", files.size());
      if (tensor(result_.input).type != element_type::f32)
        images->refuse("feeds an input of {}", sparq::name(tensor(result_.input).type));
      const sparq::npy_array codes = batch(files[0], count, result_.input, element_type::u8);
      const std::vector<float> values = codes.to<float>();
      result_.data.inputs = {element_type::f32, codes.shape, sparq::aligned_buffer(values.size() * sizeof(float))};
      std::ranges::copy(std::as_bytes(std::span(values)), result_.data.inputs.data.data());
    } else {
      result_.data.inputs = batch(data["inputs"], count, result_.input);
    }
    result_.data.expected = batch(data["expected"], count, result_.output);

    if (const auto labels = data.find("labels")) {
      const std::size_t classes = elements(tensor(result_.output).shape);
      const sparq::npy_array stored = array(*labels, element_type::s32, {count});
      for (const std::int32_t label : stored.as<std::int32_t>()) {
        if (label < 0 || static_cast<std::size_t>(label) >= classes)
          labels->refuse("names {}, which has the label {} of {} classes", labels->text(), label, classes);
        result_.data.labels.push_back(static_cast<std::size_t>(label));
      }
    }
    if (const auto top1 = data.find("reference_top1")) result_.data.reference_top1 = top1->real();
  }

  std::filesystem::path folder_;
  std::string file_;
  network result_;
  std::vector<bool> written_;
  std::size_t layer_inputs_ = 0;
};

}  // namespace

std::string_view operation::name() const {
  return std::visit([](const auto& one) { return one.name; }, attributes);
}

network load_network(const std::filesystem::path& folder) { return network_reader(folder).read(); }

}  // namespace explore
