// Which JavaScript objects nobody can reach any more. V8's collector of young objects keeps what `WeakRef` refers to, but not what references of
// Node-API do, so it is enough here: it takes a tenth of the time of a full collection.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace cotangent {

class ObjectWatcher {
public:
  explicit ObjectWatcher(napi_env env) : env(env) {}
  ObjectWatcher(const ObjectWatcher &) = delete;
  ObjectWatcher &operator=(const ObjectWatcher &) = delete;
  ~ObjectWatcher() {
    for (const auto reference : references)
      if (reference) napi_delete_reference(env, reference);
  }

  /** The number of the object until it is gone or forgotten; numbers are given out again. */
  uint32_t watch(napi_value object) {
    napi_ref reference;
    if (napi_create_reference(env, object, 0, &reference) != napi_ok) throw std::runtime_error("only objects can be watched");
    if (unused.empty()) {
      references.push_back(reference);
      return uint32_t(references.size() - 1);
    }
    const uint32_t number = unused.back();
    unused.pop_back();
    references[number] = reference;
    return number;
  }

  void forget(uint32_t number) {
    if (number >= references.size() || !references[number]) throw std::runtime_error("no object of that number is watched");
    napi_delete_reference(env, references[number]);
    references[number] = nullptr;
    unused.push_back(number);
  }

  /** Those that nobody can reach any more; they are forgotten. */
  std::vector<uint32_t> gone() {
    std::vector<uint32_t> numbers;
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) throw std::runtime_error("no handles");
    for (uint32_t number = 0; number < references.size(); number++) {
      napi_value object = nullptr;
      if (references[number] && napi_get_reference_value(env, references[number], &object) == napi_ok && !object) numbers.push_back(number);
    }
    napi_close_handle_scope(env, scope);
    for (const auto number : numbers) forget(number);
    return numbers;
  }

private:
  napi_env env;
  /** By number; null for those of nobody. */
  std::vector<napi_ref> references;
  std::vector<uint32_t> unused;
};

} // namespace cotangent
