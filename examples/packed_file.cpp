// SPDX-License-Identifier: MIT
// Weights are packed once, into a file, and every later start maps that file: no copy, no repacking, and pages that
// processes share. The bytes are the same on every machine.

#include <sparq/sparq.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#if __has_include(<sys/mman.h>)
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

/// A file in memory; mappings start on pages, so their bytes are aligned as packed tensors need it.
class mapped_file {
 public:
  /// Makes a file of `size` bytes to write to.
  mapped_file(const std::filesystem::path& path, std::size_t size)
      : mapped_file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644), size, PROT_READ | PROT_WRITE) {}
  /// Maps a file to read from.
  explicit mapped_file(const std::filesystem::path& path)
      : mapped_file(::open(path.c_str(), O_RDONLY), std::filesystem::file_size(path), PROT_READ) {}
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file() { ::munmap(data_, size_); }

  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(data_), size_}; }

 private:
  mapped_file(int file, std::size_t size, int protection) : size_(size) {
    if (file < 0 || ((protection & PROT_WRITE) != 0 && ::ftruncate(file, static_cast<off_t>(size)) != 0))
      throw std::runtime_error("the file cannot be opened");
    data_ = ::mmap(nullptr, size, protection, MAP_SHARED, file, 0);
    ::close(file);
    if (data_ == MAP_FAILED) throw std::runtime_error("the file cannot be mapped");
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace

int main() {
  constexpr std::size_t m = 3, n = 64, k = 256;
  std::mt19937 random(1);
  std::vector<float> weights(n * k);
  for (float& weight : weights) weight = static_cast<float>(random() % 255) - 127.0F;
  std::vector<std::uint8_t> x(m * k);
  for (std::uint8_t& code : x) code = static_cast<std::uint8_t>(random());
  const auto path = std::filesystem::temp_directory_path() / ("sparq_packed_file_" + std::to_string(::getpid()));

  //! [write]
  using format = sparq::n_m<2, 4>;
  using tensor = sparq::tensor<format, sparq::s4>;
  const tensor w = sparq::encode<format, sparq::s4>(weights, {n, k}, sparq::prune<format>(weights, {n, k}));
  {
    const mapped_file file(path, sparq::packed_bytes(w));
    sparq::try_pack_into(w, file.bytes()).value();
  }
  //! [write]

  //! [read]
  const mapped_file file(path);
  const auto packed = sparq::packed_view_of<tensor>::from_bytes(file.bytes());
  std::vector<std::int32_t> y(m * n);
  sparq::workspace scratch;
  sparq::gemm(sparq::matrix_view(x.data(), m, k), packed, sparq::matrix_view(y.data(), m, n), scratch);
  //! [read]
  std::printf("mapped: %zu x %zu weights in %s\n", packed.shape().n, packed.shape().k, packed.format_name().data());
  const bool equal = y == sparq::reference_gemm(sparq::matrix_view(x.data(), m, k), w.view());
  std::puts(equal ? "equal to the reference" : "not equal to the reference");

  //! [mismatch]
  using other = sparq::packed_view_of<sparq::tensor<format, sparq::s8>>;
  std::puts(other::try_from_bytes(file.bytes()).error().message().c_str());
  std::puts(sparq::packed_view_of<tensor>::try_from_bytes(file.bytes().first(100)).error().message().c_str());
  //! [mismatch]
  std::filesystem::remove(path);
  return equal ? 0 : 1;
}

#else

int main() { std::puts("this example maps files as POSIX does"); }

#endif
