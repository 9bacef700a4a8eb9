import { access } from 'node:fs/promises';
import { run } from '../../peers/support/process.ts';

const module = '/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so';

/** Debian's rsyslogd with its Elasticsearch module, installed where it is missing. @returns its path */
export async function rsyslogd(): Promise<string> {
  const there = await access(module).then(
    () => true,
    () => false,
  );
  if (!there) {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const packages = ['rsyslog', 'rsyslog-elasticsearch'];
    await run('apt-get', ['install', '--yes', '--no-install-recommends', ...packages], { env });
  }
  return '/usr/sbin/rsyslogd';
}

/** What holds lines until they are delivered. Neither is synced. */
export type Queue = 'memory' | 'disk';

/** Where documents go. */
export interface Target {
  readonly port: number;
  readonly index: string;
}

const queues: Readonly<Record<Queue, string>> = {
  memory: 'queue.type="LinkedList" queue.size="500000" queue.workerThreads="2"',
  disk: 'queue.type="Disk" queue.filename="logs" queue.maxFileSize="64m"',
};

/** The members that come ahead of those of the container, as shiplog's documents have them. */
const head = [
  '"@timestamp":"%timereported:::date-rfc3339%"',
  '"event":{"created":"%timegenerated:::date-rfc3339%","ingested":"%timegenerated:::date-rfc3339%","dataset":"docker"}',
  '"data_stream":{"type":"logs","dataset":"docker","namespace":"default"}',
  '"host":{"name":"%hostname:::json%"}',
];

const tail = [
  '"source":{"ip":"%fromhost-ip%"}',
  '"log":{"level":"%syslogseverity-text%","syslog":{"priority":%pri%,"facility":{"code":%syslogfacility%},' +
    '"severity":{"code":%syslogseverity%},"appname":"%app-name:::json%","procid":"%procid:::json%"}}',
  '"shiplog":{"stream":"stdout"}',
];

/** A field of the tag that carries everything, from 1 on. */
const field = (number: number): string => `%app-name:F,124:${number}:json%`;

const own = {
  // By RFC 3164 the space behind the tag is the message's.
  plain: [
    '"message":"%msg:2:$:json%"',
    '"orchestrator":{"cluster":{"name":"default"}}',
    '"container":{"name":"%app-name:::json%"}',
  ],
  tagged: [
    '"message":"%msg:::json%"',
    `"orchestrator":{"cluster":{"name":"${field(7)}"}}`,
    `"container":{"id":"${field(2)}","name":"${field(3)}","runtime":"docker","image":{"name":"${field(4)}"}}`,
  ],
};

function template(name: keyof typeof own): string {
  const document = `{${[...head, ...own[name], ...tail].join(',')}}`;
  return `template(name="${name}" type="string" string=${JSON.stringify(document)})`;
}

/**
 * Lines from a port, by TCP and UDP, to a sink, by bulks that create documents. A full queue is waited for, so that nothing is
 * lost. The ruleset's queue is the only one on the way.
 */
export function rsyslogConfiguration(
  queue: Queue,
  folder: string,
  port: number,
  { port: sink, index }: Target,
): string {
  const to = (name: string): string =>
    `action(type="omelasticsearch" server="127.0.0.1" serverport="${sink}" template="${name}" searchIndex="${index}" ` +
    `searchType="" bulkmode="on" maxbytes="8m" writeoperation="create" bulkid="id" dynbulkid="on" action.resumeRetryCount="-1")`;
  return `global(workDirectory="${folder}" maxMessageSize="64k" parser.permitSlashInProgramName="on"
  parser.escapeControlCharactersOnReceive="off" net.enableDNS="off")
module(load="imtcp")
module(load="imudp")
module(load="omelasticsearch")
template(name="id" type="string" string="%uuid%")
${template('plain')}
${template('tagged')}
ruleset(name="logs" ${queues[queue]} queue.dequeueBatchSize="4096" queue.timeoutEnqueue="600000") {
  if $app-name startswith "v1|" then ${to('tagged')}
  else ${to('plain')}
}
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="logs")
input(type="imudp" address="127.0.0.1" port="${port}" ruleset="logs")
`;
}
