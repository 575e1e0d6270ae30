// SPDX-License-Identifier: MIT
#include "json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sparq/base/error.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace explore {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* schema = "sparq explore";

// What is wrong with a document, and where in it.
class damage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The fields of every record, once for both directions: `each(name, field)`.
template <class Each>
void fields(Each& each, cache& c) {
  each("name", c.name);
  each("bytes", c.bytes);
}
template <class Each>
void fields(Each& each, bandwidth& b) {
  each("level", b.level);
  each("gb_per_second", b.gb_per_second);
}
template <class Each>
void fields(Each& each, machine& m) {
  each("cpu", m.cpu);
  each("isa", m.isa);
  each("compiler", m.compiler);
  each("flags", m.flags);
  each("commit", m.commit);
  each("caches", m.caches);
  each("dot_gmacs", m.dot_gmacs);
  each("fma_gmacs", m.fma_gmacs);
  each("read_bandwidths", m.read_bandwidths);
  each("seed", m.seed);
}
template <class Each>
void fields(Each& each, layer& l) {
  each("name", l.name);
  each("m", l.m);
  each("n", l.n);
  each("k", l.k);
  each("kind", l.kind);
  each("source", l.source);
  each("given_sparsity", l.given_sparsity);
}
template <class Each>
void fields(Each& each, measurement& m) {
  each("layer", m.layer);
  each("format", m.format);
  each("numeric", m.numeric);
  each("target_sparsity", m.target_sparsity);
  each("sparsity", m.sparsity);
  each("bytes", m.bytes);
  each("bytes_per_weight", m.bytes_per_weight);
  each("sqnr_db", m.sqnr_db);
  each("max_error", m.max_error);
  each("pack_seconds", m.pack_seconds);
  each("hot_seconds", m.hot_seconds);
  each("rotating_seconds", m.rotating_seconds);
  each("gmacs", m.gmacs);
  each("vs_dense", m.vs_dense);
  each("vs_dense_rotating", m.vs_dense_rotating);
  each("of_peak", m.of_peak);
  each("slot_efficiency", m.slot_efficiency);
  each("kernel", m.kernel);
  each("note", m.note);
}
template <class Each>
void fields(Each& each, break_even& b) {
  each("layer", b.layer);
  each("format", b.format);
  each("numeric", b.numeric);
  each("sparsity", b.sparsity);
  each("at_most", b.at_most);
}
template <class Each>
void fields(Each& each, omission& o) {
  each("layer", o.layer);
  each("format", o.format);
  each("numeric", o.numeric);
  each("reason", o.reason);
}
template <class Each>
void fields(Each& each, network_run& n) {
  each("name", n.name);
  each("variant", n.variant);
  each("inputs", n.inputs);
  each("matches", n.matches);
  each("of", n.of);
  each("top1_correct", n.top1_correct);
  each("labelled", n.labelled);
  each("bytes", n.bytes);
  each("seconds_per_input", n.seconds_per_input);
  each("note", n.note);
}
template <class Each>
void fields(Each& each, report& r) {
  each("date", r.date);
  each("cpu_share", r.cpu_share);
  each("machine", r.machine);
  each("layers", r.layers);
  each("measurements", r.measurements);
  each("break_evens", r.break_evens);
  each("omissions", r.omissions);
  each("networks", r.networks);
}

template <class T>
constexpr bool is_vector_v = false;
template <class T>
constexpr bool is_vector_v<std::vector<T>> = true;
template <class T>
constexpr bool is_optional_v = false;
template <class T>
constexpr bool is_optional_v<std::optional<T>> = true;

class writer {
 public:
  explicit writer(json& object) : object_(object) {}

  template <class T>
  void operator()(const char* name, T& field) {
    if constexpr (is_optional_v<T>) {
      if (field) object_[name] = value_of(*field);
    } else {
      object_[name] = value_of(field);
    }
  }

 private:
  template <class T>
  static json value_of(T& field) {
    if constexpr (std::floating_point<T>) {
      return std::isfinite(field) ? json(field) : json(nullptr);
    } else if constexpr (std::integral<T> || std::same_as<T, std::string>) {
      return field;
    } else if constexpr (is_vector_v<T>) {
      json list = json::array();
      for (auto& element : field) list.push_back(value_of(element));
      return list;
    } else {
      json object = json::object();
      writer inner(object);
      fields(inner, field);
      return object;
    }
  }

  json& object_;
};

class reader {
 public:
  reader(const json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object()) refuse(path_, "is no object");
  }

  template <class T>
  void operator()(const char* name, T& field) {
    const std::string path = path_.empty() ? name : path_ + "." + name;
    const auto found = object_.find(name);
    if constexpr (is_optional_v<T>) {
      if (found != object_.end()) read(*found, path, field.emplace());
    } else {
      if (found == object_.end()) refuse(path, "is missing");
      read(*found, path, field);
    }
  }

 private:
  [[noreturn]] static void refuse(const std::string& path, const char* what) {
    throw damage(fmt::format("{} {}", path, what));
  }

  template <class T>
  static void read(const json& value, const std::string& path, T& field) {
    if constexpr (std::same_as<T, bool>) {
      if (!value.is_boolean()) refuse(path, "is neither true nor false");
      field = value.get<bool>();
    } else if constexpr (std::floating_point<T>) {
      if (!value.is_number() && !value.is_null()) refuse(path, "is no number");
      field = value.is_null() ? std::numeric_limits<T>::infinity() : value.get<T>();
    } else if constexpr (std::integral<T>) {
      if (!value.is_number_unsigned()) refuse(path, "is no non-negative whole number");
      field = value.get<T>();
    } else if constexpr (std::same_as<T, std::string>) {
      if (!value.is_string()) refuse(path, "is no text");
      field = value.get<std::string>();
    } else if constexpr (is_vector_v<T>) {
      if (!value.is_array()) refuse(path, "is no list");
      for (std::size_t i = 0; i < value.size(); ++i)
        read(value[i], fmt::format("{}[{}]", path, i), field.emplace_back());
    } else {
      reader inner(value, path);
      fields(inner, field);
    }
  }

  const json& object_;
  std::string path_;
};

template <class Records>
void check_layers(const Records& records, const char* name, std::size_t layers) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].layer >= layers) {
      throw damage(fmt::format("{}[{}].layer is {}, but there are {} layers", name, i, records[i].layer, layers));
    }
  }
}

}  // namespace

std::string to_json(const report& found) {
  json document{{"schema", schema}, {"schema_version", schema_version}};
  report copy = found;  // fields() hands out references that are not const
  writer each(document);
  fields(each, copy);
  return document.dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

report from_json(std::string_view text, std::string_view origin) {
  const auto refuse = [&](const std::string& what) { sparq::raise(fmt::format("{}: {}", origin, what)); };
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) refuse("is not JSON, or was cut off");
  if (!document.is_object() || document.value("schema", json()) != schema) {
    refuse(fmt::format("is no report of explore: \"schema\" is not \"{}\"", schema));
  }
  const json version = document.value("schema_version", json());
  if (version != schema_version) {
    refuse(fmt::format("has schema version {}, this program reads version {}", version.dump(), schema_version));
  }
  report found;
  try {
    reader each(document, "");
    fields(each, found);
    check_layers(found.measurements, "measurements", found.layers.size());
    check_layers(found.break_evens, "break_evens", found.layers.size());
    check_layers(found.omissions, "omissions", found.layers.size());
  } catch (const damage& problem) {
    refuse(problem.what());
  }
  return found;
}

}  // namespace explore
