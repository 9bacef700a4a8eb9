import { BlockList, isIP } from 'node:net';

/** A set of networks, each an address or `address/prefix`, which were validated before. */
export function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of networks) {
    const [host = '', prefix] = text.split('/');
    const family = isIP(host) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(host, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return list;
}

/** Whether an address lies in one of the networks. */
export function contains(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** What the first of some rules whose network has the address says. */
export function clusterRules(
  sources: readonly { readonly cidr: string; readonly cluster: string }[],
): (address: string) => string | undefined {
  const rules = sources.map(({ cidr, cluster }) => ({ networks: blockList([cidr]), cluster }));
  return (address) => rules.find(({ networks }) => contains(networks, address))?.cluster;
}
