// SPDX-License-Identifier: MIT
// One program, four instruction sets: each probe runs where the processor can, and they agree.
#include <cstddef>
#include <cstdio>

std::size_t sparq_abi_probe_plain();
std::size_t sparq_abi_probe_avx();
std::size_t sparq_abi_probe_avx2();
std::size_t sparq_abi_probe_avx512();

int main() {
  const std::size_t plain = sparq_abi_probe_plain();
  const auto agrees = [&](const char* name, std::size_t (*probe)()) {
    const std::size_t value = probe();
    std::printf("plain gives %zu, %s %zu\n", plain, name, value);
    return value == plain;
  };
  if (__builtin_cpu_supports("avx") && !agrees("avx", sparq_abi_probe_avx)) return 1;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2")) {
    std::puts("skipped: this machine cannot run -march=x86-64-v3");
    return 0;
  }
  if (!agrees("avx2", sparq_abi_probe_avx2)) return 1;
  if (!__builtin_cpu_supports("avx512vbmi2") || !__builtin_cpu_supports("avx512vnni")) {
    std::puts("skipped: this machine cannot run -march=icelake-server");
    return 0;
  }
  return agrees("avx512", sparq_abi_probe_avx512) ? 0 : 1;
}
