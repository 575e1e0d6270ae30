// SPDX-License-Identifier: MIT
#pragma once
// A tensor whose type is chosen at run time, by name, among those that a program lists. The set is closed; an operation
// asks once what it holds and goes on with the type that it finds. tensor/any_tensor.hpp lists the library's own types.
//
//   using csr_or_dense = basic_any_tensor<std::variant<tensor<csr, s8>, tensor<dense, s8>>>;
//   const auto w = csr_or_dense::encode(name, "s8", weights, shape);

#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sparq {

namespace detail {

/// A variant without the alternatives that it has already: several numeric types may be packed as one.
template <class Variant, class... Rest>
struct distinct {
  using type = Variant;
};
template <class... Known, class First, class... Rest>
struct distinct<std::variant<Known...>, First, Rest...>
    : distinct<std::conditional_t<(std::same_as<First, Known> || ...), std::variant<Known...>,
                                  std::variant<Known..., First>>,
               Rest...> {};

/// The packed forms of a variant of tensors.
template <class Variant>
struct packed_variant;
template <class... T>
struct packed_variant<std::variant<T...>> : distinct<std::variant<>, packed<packed_view_of<T>>...> {};
template <class Variant>
using packed_variant_t = typename packed_variant<Variant>::type;

template <class T, class Variant>
inline constexpr bool is_alternative_v = false;
template <class T, class... Alternatives>
inline constexpr bool is_alternative_v<T, std::variant<Alternatives...>> = (std::same_as<T, Alternatives> || ...);

/// f(type_identity of an alternative) for each alternative.
template <class... Alternatives, class F>
void for_each_alternative(std::type_identity<std::variant<Alternatives...>>, F&& f) {
  (f(std::type_identity<Alternatives>{}), ...);
}

}  // namespace detail

/// What tensors and packed tensors whose types are chosen at run time have in common.
template <class Variant>
class one_of {
 public:
  using variant = Variant;

  template <class T>
    requires detail::is_alternative_v<T, variant>
  one_of(T content) : content_(std::move(content)) {}

  /// f(what it holds); all alternatives give one type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), content_);
  }
  weight_shape shape() const {
    return visit([](const auto& w) { return w.shape(); });
  }
  /// Of a tensor: values, indices and scales.
  std::size_t bytes() const {
    return visit([](const auto& w) { return w.bytes(); });
  }

 private:
  variant content_;
};

/// One of the tensors of `Variant`, a std::variant of tensors. Members cost compile time only where they are called: to
/// encode and pack every alternative takes seconds.
template <class Variant>
class basic_any_tensor : public one_of<Variant> {
 public:
  using variant = Variant;
  using one_of<Variant>::one_of;
  using one_of<Variant>::visit;

  /// Encodes in the format and numeric type of these names; see try_encode in tensor/encode.hpp.
  /// Errors: a name that is not in the set, a codebook, whose tables are not chosen here, and those of try_encode.
  static expected<basic_any_tensor> try_encode(std::string_view format_name, std::string_view numeric_name,
                                               std::span<const float> weights, weight_shape shape, mask_view keep) {
    return make(format_name, numeric_name, [&]<format F, numeric N, quantization_granularity G>() {
      return sparq::try_encode<F, N, G>(weights, shape, keep);
    });
  }
  /// As above; keeps what try_encode without a mask keeps.
  static expected<basic_any_tensor> try_encode(std::string_view format_name, std::string_view numeric_name,
                                               std::span<const float> weights, weight_shape shape) {
    return make(format_name, numeric_name, [&]<format F, numeric N, quantization_granularity G>() {
      return sparq::try_encode<F, N, G>(weights, shape);
    });
  }
  /// Throwing twins.
  static basic_any_tensor encode(std::string_view format_name, std::string_view numeric_name,
                                 std::span<const float> weights, weight_shape shape, mask_view keep) {
    return try_encode(format_name, numeric_name, weights, shape, keep).value();
  }
  static basic_any_tensor encode(std::string_view format_name, std::string_view numeric_name,
                                 std::span<const float> weights, weight_shape shape) {
    return try_encode(format_name, numeric_name, weights, shape).value();
  }

  double density() const {
    return visit([](const auto& w) { return w.density(); });
  }
  std::string format_name() const {
    return visit([](const auto& w) { return std::remove_cvref_t<decltype(w)>::format_type::name(); });
  }
  std::string_view numeric_name() const {
    return visit([](const auto& w) { return std::string_view(std::remove_cvref_t<decltype(w)>::numeric_type::name); });
  }

 private:
  /// What encode.template operator()<format, numeric type, granularity>() makes for the alternative of these names.
  template <class Encode>
  static expected<basic_any_tensor> make(std::string_view format_name, std::string_view numeric_name,
                                         const Encode& encode) {
    std::optional<expected<basic_any_tensor>> result;
    std::vector<std::string> formats, numerics;
    detail::for_each_alternative(std::type_identity<variant>{}, [&]<class T>(std::type_identity<T>) {
      using format_type = typename T::format_type;
      using numeric_type = typename T::numeric_type;
      formats.push_back(format_type::name());
      numerics.emplace_back(numeric_type::name);
      if (format_name != formats.back() || numeric_name != numerics.back()) return;
      if constexpr (has_tables<numeric_type>) {
        result.emplace(status::failure("any_tensor: " + numerics.back() +
                                       " needs tables; make the tensor with encode (tensor/encode_codebook.hpp) or "
                                       "cluster (compress/cluster.hpp), and the any_tensor from it"));
      } else {
        auto encoded = encode.template operator()<format_type, numeric_type, typename T::granularity>();
        if (encoded)
          result.emplace(basic_any_tensor(*std::move(encoded)));
        else
          result.emplace(encoded.error());
      }
    });
    if (result) return *std::move(result);
    const auto is_in = [](std::string_view name, const std::vector<std::string>& known) {
      return std::find(known.begin(), known.end(), name) != known.end();
    };
    if (!is_in(format_name, formats)) return unknown("format", format_name, formats);
    if (!is_in(numeric_name, numerics)) return unknown("numeric type", numeric_name, numerics);
    return status::failure("any_tensor: " + std::string(format_name) + " with " + std::string(numeric_name) +
                           " is not in the set");
  }
  /// Lists every known name once.
  static status unknown(const char* what, std::string_view name, const std::vector<std::string>& known) {
    std::string list;
    for (auto at = known.begin(); at != known.end(); ++at)
      if (std::find(known.begin(), at, *at) == at) list += (list.empty() ? "" : ", ") + *at;
    return status::failure("any_tensor: no " + std::string(what) + " is called \"" + std::string(name) +
                           "\"; there are " + list);
  }
};

/// One of the packed tensors of `Variant`, a std::variant; what pack makes of a basic_any_tensor.
template <class Variant>
class basic_any_packed : public one_of<Variant> {
 public:
  using one_of<Variant>::one_of;
  using one_of<Variant>::visit;

  /// Whichever type of the set these bytes were packed as, with a copy of them; they may lie anywhere.
  /// Errors: bytes of a type that is not in the set, and those of packed_view::try_from_bytes.
  static expected<basic_any_packed> try_from_bytes(std::span<const std::byte> bytes) {
    const std::string layout = detail::packed_layout(bytes);
    if (layout.empty()) return status::failure("any_packed: the bytes do not start with the header of a packed tensor");
    aligned_buffer block(bytes.size());
    std::copy(bytes.begin(), bytes.end(), block.bytes().begin());
    std::optional<expected<basic_any_packed>> result;
    detail::for_each_alternative(std::type_identity<Variant>{}, [&]<class T>(std::type_identity<T>) {
      using view = typename T::view_type;
      if (result || layout != view::layout_name()) return;
      const auto read = view::try_from_bytes(block.bytes());
      if (read)
        result.emplace(basic_any_packed(T(unchecked, std::move(block))));
      else
        result.emplace(read.error());
    });
    if (result) return *std::move(result);
    return status::failure("any_packed: bytes packed as \"" + layout + "\" are not in the set");
  }
  /// Throwing twin.
  static basic_any_packed from_bytes(std::span<const std::byte> bytes) { return try_from_bytes(bytes).value(); }

  /// What from_bytes reads again, for a file.
  std::span<const std::byte> block() const {
    return visit([](const auto& w) { return w.block(); });
  }

  /// Of the tensor that was packed.
  double density() const {
    return visit([](const auto& w) { return w.view().density(); });
  }
  /// Of the tensor that was packed.
  std::string format_name() const {
    return visit([](const auto& w) { return std::string(w.view().format_name()); });
  }
  /// Of the packed form; see packed_numeric_t.
  std::string_view numeric_name() const {
    return visit([](const auto& w) {
      return std::string_view(std::remove_cvref_t<decltype(w)>::view_type::numeric_type::name);
    });
  }
};

/// Bytes that packing will write. O(slots).
template <class Variant>
std::size_t packed_bytes(const basic_any_tensor<Variant>& w) {
  return w.visit([](const auto& t) { return packed_bytes(t); });
}
/// Packs into memory of its own. @pre w is valid. Complexity O(n k).
template <class Variant>
auto pack(const basic_any_tensor<Variant>& w) {
  using packed_type = basic_any_packed<detail::packed_variant_t<Variant>>;
  return w.visit([](const auto& t) { return packed_type(pack(t)); });
}

}  // namespace sparq
