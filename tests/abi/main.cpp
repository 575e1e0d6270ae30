// SPDX-License-Identifier: MIT
// One program, two instruction sets: each probe runs where the processor can, and they agree.
#include <cstddef>
#include <cstdio>

std::size_t sparq_abi_probe_avx2();
std::size_t sparq_abi_probe_avx512();

int main() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::puts("skipped: this machine cannot run -march=x86-64-v3");
    return 0;
  }
  const std::size_t avx2 = sparq_abi_probe_avx2();
  if (!__builtin_cpu_supports("avx512vbmi2") || !__builtin_cpu_supports("avx512vnni")) {
    std::printf("skipped: avx2 gives %zu, but this machine cannot run -march=icelake-server\n", avx2);
    return 0;
  }
  const std::size_t avx512 = sparq_abi_probe_avx512();
  std::printf("avx2 gives %zu, avx512 gives %zu\n", avx2, avx512);
  return avx2 == avx512 ? 0 : 1;
}
