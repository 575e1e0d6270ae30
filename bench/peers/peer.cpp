// SPDX-License-Identifier: MIT
#include "bench/peers/peer.hpp"

#include "peer_list.hpp"  // written by CMake: SPARQ_PEERS(F) and SPARQ_MISSING_PEERS

namespace peers {

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
