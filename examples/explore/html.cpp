// SPDX-License-Identifier: MIT
#include "html.hpp"

#include "embedded.hpp"
#include "json.hpp"
#include "summary.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace explore {
namespace {

std::string sentences_json(const report& found) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const headline& h : headlines(found)) {
    list.push_back({{"layer", h.layer},
                    {"numeric", h.numeric},
                    {"sparse", h.sparse},
                    {"format", h.format},
                    {"sparsity", h.sparsity},
                    {"vs_dense", h.vs_dense},
                    {"text", h.text}});
  }
  const nlohmann::ordered_json all{{"headlines", list}, {"doubts", doubts(found)}};
  return all.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// JSON for a <script> element, where "</script" in a name would end the element.
std::string inside_script(std::string_view json) {
  std::string text;
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

bool has_html() { return !embedded::chart_js.empty(); }

std::string to_html(const report& found) {
  const std::string data = inside_script(to_json(found));
  const std::string sentences = inside_script(sentences_json(found));
  const std::array<std::pair<std::string_view, std::string_view>, 7> parts{{{"{{style}}", embedded::page_css},
                                                                            {"{{report}}", data},
                                                                            {"{{sentences}}", sentences},
                                                                            {"{{chart}}", embedded::chart_js},
                                                                            {"{{data}}", embedded::page_data_js},
                                                                            {"{{plots}}", embedded::page_plots_js},
                                                                            {"{{page}}", embedded::page_js}}};
  // In the order of the page, so that nothing inside a part is taken for a place of another one.
  std::string page;
  std::string_view rest = embedded::page_html;
  for (const auto& [place, text] : parts) {
    const std::size_t at = rest.find(place);
    page += rest.substr(0, at);
    page += text;
    rest.remove_prefix(at + place.size());
  }
  return page += rest;
}

}  // namespace explore
