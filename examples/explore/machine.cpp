// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <sparq/simd/isa.hpp>

#include <chrono>
#include <ctime>
#include <fstream>
#include <vector>

// The build says what it is: see CMakeLists.txt.
#if !defined(EXPLORE_FLAGS) || !defined(EXPLORE_COMMIT)
#error "explore: EXPLORE_FLAGS and EXPLORE_COMMIT name the compiler flags and the commit; build with CMake"
#endif

namespace explore {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Linux; elsewhere the name stays open.
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string model;
  std::string family;
  for (std::string line; std::getline(info, line) && !line.empty();) {
    const std::size_t colon = line.find(": ");
    if (colon == line.npos) continue;
    const std::string value = line.substr(colon + 2);
    if (line.starts_with("model name")) model = value;
    if (line.starts_with("cpu family")) family += " family " + value;
    if (line.starts_with("model\t")) family += " model " + value;
  }
  // A virtual machine may hide the model behind the maker's name; family and model still tell the core.
  return model.empty() ? "unknown CPU" : family.empty() ? model : fmt::format("{} ({})", model, family.substr(1));
}

// From the kernel's files: sysconf() tells the last level of the whole machine on some CPUs, not that of one core.
std::vector<cache> data_caches() {
  std::vector<cache> caches;
  for (int i = 0;; ++i) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", i);
    const std::string type = first_line(folder + "type");
    if (type.empty()) return caches;
    if (type == "Instruction") continue;
    const std::string size = first_line(folder + "size");  // "512K"
    if (size.empty() || size.back() != 'K') continue;
    caches.push_back({"L" + first_line(folder + "level") + (type == "Data" ? "d" : ""), std::stoul(size) * 1024});
  }
}

std::string compiler_name() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
  return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#elif defined(_MSC_VER)
  return fmt::format("msvc {}", _MSC_VER);
#else
  return "unknown compiler";
#endif
}

}  // namespace

machine describe_machine(std::uint64_t seed) {
  machine here;
  here.cpu = cpu_name();
  here.isa = sparq::to_string(sparq::native_isa);
  here.compiler = compiler_name();
  here.flags = EXPLORE_FLAGS;
  here.commit = EXPLORE_COMMIT;
  here.caches = data_caches();
  here.seed = seed;
  return here;
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace explore
