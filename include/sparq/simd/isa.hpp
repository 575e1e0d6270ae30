// SPDX-License-Identifier: MIT
#pragma once
// An instruction set is a set of feature bits, not a chain: an atom names what it needs, and serves wherever all of it
// is there.

#include <sparq/base/config.hpp>

#include <cstdint>
#include <string>

namespace sparq {

/// One feature of a CPU that an atom may need.
enum class feature : std::uint32_t {
  avx2 = 1,          // AVX2 and FMA
  avx512 = 2,        // AVX-512 F, BW, VL and DQ
  avx512vnni = 4,    // byte dot products on 512 bits
  avx512vbmi = 8,    // byte permutes across a register
  avx512vbmi2 = 16,  // byte compress and expand
  avx512vpopcntdq = 32,  // bits of 32-bit lanes counted
  avx512bf16 = 64,       // dot products of pairs of bf16
  amx_int8 = 128,        // tiles of bytes
};

/// A set of features.
struct isa {
  std::uint32_t bits = 0;

  constexpr isa() = default;
  constexpr isa(feature f) : bits(static_cast<std::uint32_t>(f)) {}
  constexpr bool has(isa other) const { return (bits & other.bits) == other.bits; }
  friend constexpr isa operator|(isa a, isa b) {
    isa result;
    result.bits = a.bits | b.bits;
    return result;
  }
  friend constexpr bool operator==(isa, isa) = default;
};
constexpr isa operator|(feature a, feature b) { return isa(a) | isa(b); }

/// The features' names, "scalar" for the empty set.
inline std::string to_string(isa set) {
  std::string text;
  const auto add = [&](feature f, const char* name) {
    if (set.has(f)) text += (text.empty() ? "" : "+") + std::string(name);
  };
  add(feature::avx2, "avx2");
  add(feature::avx512, "avx512");
  add(feature::avx512vnni, "avx512vnni");
  add(feature::avx512vbmi, "avx512vbmi");
  add(feature::avx512vbmi2, "avx512vbmi2");
  add(feature::avx512vpopcntdq, "avx512vpopcntdq");
  add(feature::avx512bf16, "avx512bf16");
  add(feature::amx_int8, "amx_int8");
  return text.empty() ? "scalar" : text;
}

SPARQ_ABI_BEGIN

/// What this translation unit is compiled for.
inline constexpr isa native_isa = [] {
  isa set;
  if (SPARQ_HAS_AVX2) set = set | feature::avx2;
  if (SPARQ_HAS_AVX512) set = set | feature::avx512;
  if (SPARQ_HAS_AVX512VNNI) set = set | feature::avx512vnni;
  if (SPARQ_HAS_AVX512VBMI) set = set | feature::avx512vbmi;
  if (SPARQ_HAS_AVX512VBMI2) set = set | feature::avx512vbmi2;
  if (SPARQ_HAS_AVX512VPOPCNTDQ) set = set | feature::avx512vpopcntdq;
  if (SPARQ_HAS_AVX512BF16) set = set | feature::avx512bf16;
  if (SPARQ_HAS_AMX_INT8) set = set | feature::amx_int8;
  return set;
}();

SPARQ_ABI_END
}  // namespace sparq
