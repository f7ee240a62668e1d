#include <gtest/gtest.h>

#include "compiler/support/result.h"
#include "compiler/support/sha256.h"
#include "compiler/support/target.h"
#include "runtime_lib/include/onnxc/onnxc.h"

namespace onnxc {
namespace {

Result<int> half(int v) {
  if (v % 2) return Error(ErrorKind::Usage, std::to_string(v) + " is odd");
  return v / 2;
}

Result<int> quarter(int v) {
  ONNXC_ASSIGN(const int h, half(v));
  return half(h);
}

Status check(int v) {
  ONNXC_TRY(quarter(v));
  return ok();
}

TEST(Result, CarriesValueOrError) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_TRUE(check(4).ok());
  const Status s = check(6);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().kind(), ErrorKind::Usage);
  EXPECT_EQ(s.error().str(), "error: usage: 3 is odd");
}

TEST(Result, MovesValues) {
  Result<std::unique_ptr<int>> r = std::make_unique<int>(3);
  std::unique_ptr<int> p = std::move(r).value();
  EXPECT_EQ(*p, 3);
}

TEST(Error, SaysWhereAndWhatToDo) {
  Error e(ErrorKind::Unsupported, "no kernel", {}, "Wait.");
  e.append(Error(ErrorKind::Unsupported, "no shape", "node 2"));
  EXPECT_EQ(std::move(e).at("node 1").str(),
            "error: unsupported: node 1: no kernel\n  Wait.\nerror: unsupported: node 2: no shape");
}

TEST(Error, InternalOnesAskForAReport) {
  EXPECT_NE(Error(ErrorKind::Internal, "lost").str().find("bug in onnxc"), std::string::npos);
}

TEST(Target, LevelsByName) {
  Options o;
  o.cpu = "x86-64-v2";
  Target v2 = *Target::from_options(o);
  EXPECT_EQ(v2.required_features, ONNXC_X86_V2);
  EXPECT_FALSE(v2.has_fma);
  EXPECT_EQ(v2.vector_bytes, 16);
  o.cpu = "x86-64-v4";
  Target v4 = *Target::from_options(o);
  EXPECT_EQ(v4.name(), "x86-64-v4");
  EXPECT_EQ(v4.required_features, ONNXC_X86_V2 | ONNXC_X86_V3 | ONNXC_X86_V4);
  EXPECT_EQ(v2.channel_block, v4.channel_block);
}

TEST(Target, UnknownNamesListTheChoices) {
  Options o;
  o.cpu = "pentium";
  const auto t = Target::from_options(o);
  ASSERT_FALSE(t.ok());
  EXPECT_EQ(t.error().kind(), ErrorKind::Usage);
  EXPECT_NE(t.error().str().find("x86-64-v3"), std::string::npos);
}

TEST(Sha256, KnownDigests) {
  const auto hex = [](const std::string& text, size_t piece) {
    Sha256 h;
    for (size_t i = 0; i < text.size(); i += piece) h.update(text.data() + i, std::min(piece, text.size() - i));
    std::string out;
    for (uint8_t b : h.digest()) {
      char two[3];
      std::snprintf(two, sizeof two, "%02x", b);
      out += two;
    }
    return out;
  };
  EXPECT_EQ(hex("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  EXPECT_EQ(hex(million, 977), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace onnxc
