// A1, B11, C27: the network, and sockets of families that no build needs.
#include "../probe.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/un.h>

static verdict family(const char *name, int family, int kind, int protocol) {
    long file = CALL(SYS_socket, family, kind, protocol);
    if (file == -EAFNOSUPPORT || file == -EPROTONOSUPPORT || file == -ESOCKTNOSUPPORT)
        return say(HELD, "%s: %s", name, strerror((int)-file));
    return refused(name, file);
}
PROBE(vsock, "B11.socket-vsock", "R14", "root") { return family("AF_VSOCK", 40, SOCK_STREAM, 0); }
PROBE(raw4, "B11.socket-raw", "R14", "root") { return family("raw IPv4", AF_INET, SOCK_RAW, IPPROTO_ICMP); }
PROBE(raw6, "B11.socket-raw6", "R14", "root") { return family("raw IPv6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6); }
PROBE(packet, "B11.socket-packet", "R14", "root") { return family("AF_PACKET", AF_PACKET, SOCK_RAW, 0); }
PROBE(audit, "B11.netlink-audit", "R14", "root") { return family("NETLINK_AUDIT", AF_NETLINK, SOCK_RAW, 9); }
PROBE(netfilter, "B11.netlink-netfilter", "R14", "root") { return family("NETLINK_NETFILTER", AF_NETLINK, SOCK_RAW, 12); }
PROBE(xfrm, "B11.netlink-xfrm", "R14", "root") { return family("NETLINK_XFRM", AF_NETLINK, SOCK_RAW, 6); }
PROBE(generic, "B11.netlink-generic", "R14", "root") { return family("NETLINK_GENERIC", AF_NETLINK, SOCK_RAW, 16); }
PROBE(diag, "B11.netlink-sock-diag", "R14", "root") { return family("NETLINK_SOCK_DIAG", AF_NETLINK, SOCK_RAW, 4); }
PROBE(unix32, "B11.netlink-audit-i386", "R14", "root") {
    long file = call32(359, AF_NETLINK, SOCK_RAW, 9, 0, 0);
    return refused("socket of i386, NETLINK_AUDIT", file);
}

// Interfaces other than the sandbox's own loopback.
PROBE(interfaces, "B11.interfaces", "R1", "host") {
    struct if_nameindex *list = if_nameindex();
    // Without the right to ask there is nothing to see.
    if (list == NULL) return say(HELD, "%s", strerror(errno));
    for (struct if_nameindex *at = list; at->if_index != 0; at++)
        if (strcmp(at->if_name, "lo") != 0) return say(ESCAPED, "interface %s", at->if_name);
    return say(HELD, "lo alone");
}
PROBE(route, "B11.route-out", "R1", "host") {
    // TEST-NET-1, which nobody has: connecting a datagram socket sends nothing, and needs a route.
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, "192.0.2.1", &place.sin_addr);
    if (file < 0 || connect(file, (struct sockaddr *)&place, sizeof place) != 0)
        return say(HELD, "no route: %s", strerror(errno));
    return say(ESCAPED, "there is a route to the world");
}
PROBE(up, "B11.make-interface", "R1", "root") {
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    if (file < 0 || ioctl(file, SIOCGIFFLAGS, &request) != 0) return say(HELD, "no interface: %s", strerror(errno));
    request.ifr_flags ^= IFF_PROMISC;
    int result = ioctl(file, SIOCSIFFLAGS, &request);
    return result == 0 ? say(ESCAPED, "lo was changed") : say(HELD, "%s", strerror(errno));
}

// What the harness listens on, on the host: an abstract socket and a port of the loopback interface.
PROBE(abstract, "A01.host-abstract-socket", "R1", "host") {
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "\0kiln-canary-host"};
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen("kiln-canary-host");
    if (connect(file, (struct sockaddr *)&place, size) != 0) return say(HELD, "%s", strerror(errno));
    return say(ESCAPED, "the host's abstract socket was reached");
}
PROBE(loopback, "B11.host-loopback", "R1", "host") {
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(4711), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (connect(file, (struct sockaddr *)&place, sizeof place) != 0) return say(HELD, "%s", strerror(errno));
    return say(ESCAPED, "a port of the host's loopback interface was reached");
}
PROBE(loopback6, "B11.host-loopback6", "R1", "host") {
    int file = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 place = {.sin6_family = AF_INET6, .sin6_port = htons(4711), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (connect(file, (struct sockaddr *)&place, sizeof place) != 0) return say(HELD, "%s", strerror(errno));
    return say(ESCAPED, "a port of the host's loopback interface was reached");
}
