// classify.cc on a host.
#include <cstdio>

extern "C" int classify();
extern "C" void put_text(const char* text) { std::fputs(text, stdout); }

int main() { return classify(); }
