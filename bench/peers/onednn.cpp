// SPDX-License-Identifier: MIT
// oneDNN: dense matmul with weights in a layout of its own choice, packed before. f32, bf16 where the CPU has it, and
// u8 x s8 -> s32. Before VNNI it multiplies bytes by vpmaddubsw, which saturates; X of 7 bits keeps it exact for most.
#include "bench/peers/peer.hpp"

#include <oneapi/dnnl/dnnl.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace peers {

namespace {

using dims = dnnl::memory::dims;
using dnnl::memory;

template <class X, class W, class Y>
class onednn_dense final : public plain_product<X, W, Y> {
 public:
  explicit onednn_dense(const request& asked) : plain_product<X, W, Y>(asked) {
    const auto extent = [](std::size_t e) { return static_cast<memory::dim>(e); };
    const memory::dim m = extent(this->m_), n = extent(this->shape_.n), k = extent(this->shape_.k);
    const memory::desc x({m, k}, type<X>(), memory::format_tag::ab), y({m, n}, type<Y>(), memory::format_tag::ab);
    const memory::desc plain_w({k, n}, type<W>(), memory::format_tag::ba),
        any_w({k, n}, type<W>(), memory::format_tag::any);
    const dnnl::matmul::primitive_desc what({x, any_w, y}, engine_);
    memory plain(plain_w, engine_, this->w_.data()), packed(what.weights_desc(), engine_);
    dnnl::reorder(plain, packed).execute(stream_, plain, packed);
    stream_.wait();
    this->packed_bytes = packed.get_desc().get_size();
    product_ = dnnl::matmul(what);
    arguments_ = {{DNNL_ARG_SRC, memory(x, engine_, this->x_.data())},
                  {DNNL_ARG_WEIGHTS, packed},
                  {DNNL_ARG_DST, memory(y, engine_, this->y_.data())}};
    this->kernel = std::string("oneDNN ") + what.impl_info_str();
  }
  void run(std::size_t) override {
    product_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  template <class T>
  static memory::data_type type() {
    return std::is_same_v<T, float>          ? memory::data_type::f32
           : std::is_same_v<T, std::uint8_t> ? memory::data_type::u8
           : std::is_same_v<T, std::int8_t>  ? memory::data_type::s8
                                             : memory::data_type::s32;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul product_;
  std::unordered_map<int, memory> arguments_;
};

}  // namespace

std::vector<peer> onednn() {
  return {{"onednn_dense", "f32xf32", false, make<onednn_dense<float, float, float>>},
          {"onednn_dense", "u8xs8", false, make<onednn_dense<std::uint8_t, std::int8_t, std::int32_t>>},
          {"onednn_dense", "u7xs8", false, make<onednn_dense<std::uint8_t, std::int8_t, std::int32_t>>},
          {"onednn_dense", "s8xs8", false, make<onednn_dense<std::int8_t, std::int8_t, std::int32_t>>}};
}

}  // namespace peers
