// SPDX-License-Identifier: MIT
#include "bench/peers/peer.hpp"

#include "peer_list.hpp"  // written by CMake: SPARQ_PEERS(F) and SPARQ_MISSING_PEERS

#include <sparq/compress/prune.hpp>
#include <sparq/format/csr.hpp>

#include <utility>

namespace peers {

namespace {

/// A library packs weights where only it knows, so each copy of them is a product of its own.
class copied_product final : public workbench::product {
 public:
  copied_product(const peer& of, std::size_t m, sparq::weight_shape shape, std::vector<float> weights,
                 std::uint64_t seed)
      : weights_(std::move(weights)), make_(of.make), asked_{m, shape, weights_, seed} {
    set_copies(1);
    product::operator=(*copies_.front());  // what is known of it
  }
  void run(std::size_t copy) override { copies_[copy % copies_.size()]->run(0); }
  void set_copies(std::size_t copies) override {
    while (copies_.size() < copies) copies_.push_back(make_(asked_));
  }
  std::string verify() override { return copies_.front()->verify(); }
  std::vector<float> decoded() const override { return copies_.front()->decoded(); }

 private:
  std::vector<float> weights_;
  decltype(peer::make) make_;
  request asked_;
  std::vector<std::unique_ptr<workbench::product>> copies_;
};

}  // namespace

std::unique_ptr<workbench::product> make_product(const peer& of, std::size_t m, sparq::weight_shape shape,
                                                 double sparsity, std::uint64_t seed) {
  std::vector<float> weights = workbench::noise_weights(shape.n, shape.k, seed);
  if (of.is_sparse) {
    const sparq::mask keep = sparq::prune<sparq::csr>(weights, shape, sparsity);
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (!keep(i / shape.k, i % shape.k)) weights[i] = 0;
  }
  return std::make_unique<copied_product>(of, m, shape, std::move(weights), seed);
}

#define SPARQ_DECLARE_PEER(name) std::vector<peer> name();
SPARQ_PEERS(SPARQ_DECLARE_PEER)
#undef SPARQ_DECLARE_PEER

const std::vector<peer>& all() {
  static const std::vector<peer> list = [] {
    std::vector<peer> found;
    const auto add = [&](std::vector<peer> more) { found.insert(found.end(), more.begin(), more.end()); };
    add({});
#define SPARQ_ADD_PEER(name) add(name());
    SPARQ_PEERS(SPARQ_ADD_PEER)
#undef SPARQ_ADD_PEER
    return found;
  }();
  return list;
}

std::string missing_packages() { return SPARQ_MISSING_PEERS; }

}  // namespace peers
