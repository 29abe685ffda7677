// See rocksdb_families.h.
#include "storage-node/store/rocksdb_families.h"

#include <charconv>
#include <cstdint>
#include <map>
#include <string_view>

#include "common/base/text.h"

namespace sextant::storage {
namespace {

struct Name {
  std::string_view base;
  uint64_t generation = 0;
};

Name Parse(std::string_view name) {
  const size_t dot = name.rfind('.');
  Name parsed{.base = name.substr(0, dot)};
  if (dot != std::string_view::npos) {
    std::from_chars(name.data() + dot + 1, name.data() + name.size(), parsed.generation);
  }
  return parsed;
}

}  // namespace

std::string NextFamilyName(const std::string& name) {
  const Name parsed = Parse(name);
  return Text(parsed.base, ".", parsed.generation + 1);
}

rocksdb::Status OpenFamilies(const rocksdb::DBOptions& db,
                             const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted,
                             const std::string& path, RocksDatabase* database) {
  std::vector<std::string> names;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db, path, &names);
  if (!listed.ok() && !(db.create_if_missing && listed.IsPathNotFound())) return listed;
  std::map<std::string_view, std::map<uint64_t, std::string_view>> found;
  for (const std::string& name : names) found[Parse(name).base][Parse(name).generation] = name;

  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = wanted;
  for (rocksdb::ColumnFamilyDescriptor& descriptor : descriptors) {
    const auto generations = found.find(descriptor.name);
    if (generations != found.end()) descriptor.name = generations->second.begin()->second;
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& [generation, name] : found[wanted[i].name]) {
      if (name != descriptors[i].name)
        descriptors.emplace_back(std::string(name), wanted[i].options);
    }
  }

  rocksdb::DB* raw = nullptr;
  RocksDatabase opened;
  rocksdb::Status status = rocksdb::DB::Open(db, path, descriptors, &opened.families, &raw);
  opened.db.reset(raw);
  while (status.ok() && opened.families.size() > wanted.size()) {
    status = opened.db->DropColumnFamily(opened.families.back());
    opened.db->DestroyColumnFamilyHandle(opened.families.back());
    opened.families.pop_back();
  }
  *database = std::move(opened);
  return status;
}

}  // namespace sextant::storage
