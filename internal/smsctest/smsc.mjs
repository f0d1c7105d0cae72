// A message centre of the package smpp. It listens on a free port and obeys
// commands on its input, one JSON object a line; what happens to it, it tells
// likewise on its output.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import smpp from "smpp";

const options = JSON.parse(process.argv[2]);
const tell = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + "\n");
const sessions = new Set();
let throttle = 0; // how many messages are still to be throttled
let silent = false; // about everything but binding
let status = smpp.ESME_ROK; // of the answers to messages
let count = 0;

function serve(session) {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
  session.on("error", (error) => tell("error", { text: String(error.message) }));
  session.on("bind_transceiver", (pdu) => {
    const known = pdu.system_id === "rubrica" && pdu.password === "secret";
    session.send(pdu.response({ command_status: known ? smpp.ESME_ROK : smpp.ESME_RINVPASWD, system_id: "centre" }));
    tell(known ? "bound" : "refused", { from: pdu.system_id });
  });
  session.on("enquire_link", (pdu) => {
    tell("enquire");
    if (!silent) session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    tell("unbind");
    session.send(pdu.response());
  });
  session.on("submit_sm", (pdu) => {
    if (silent) return tell("ignored");
    if (throttle > 0) {
      throttle--;
      tell("throttled");
      return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    }
    const id = `m-${++count}`;
    const { message, udh } = pdu.short_message;
    tell("submit", {
      id, to: pdu.destination_addr, from: pdu.source_addr, text: message, coding: pdu.data_coding,
      header: udh ? udh.map((element) => element.toString("hex")).join() : "", receipt: pdu.registered_delivery,
      types: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.dest_addr_ton, pdu.dest_addr_npi],
    });
    session.send(pdu.response({ command_status: status, message_id: status === smpp.ESME_ROK ? id : "" }));
  });
}

const commands = {
  throttle: ({ number }) => { throttle = number; },
  silence: () => { silent = true; },
  status: ({ number }) => { status = number; },
  drop: () => { for (const session of sessions) session.destroy(); },
  unbind: () => { for (const session of sessions) session.unbind(() => tell("unbound")); },
  receipt: ({ id, word, number }) => {
    const facts = {
      esm_class: 0x04,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2603101200 done date:2603101201 stat:${word} err:000 text:Rubrica id:x`,
    };
    if (number) Object.assign(facts, { receipted_message_id: id, message_state: number, short_message: "" });
    for (const session of sessions) session.deliver_sm(facts, (pdu) => tell("receipt", { id, number: pdu.command_status }));
  },
  enquire: () => { for (const session of sessions) session.enquire_link(() => tell("alive")); },
  garbage: () => { for (const session of sessions) session.socket.write(Buffer.from("00000012000000ff000000000000002a4142", "hex")); },
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
  tell("done", { text: command.do });
}).on("close", () => process.exit(0));

const secure = options.key ? { key: readFileSync(options.key), cert: readFileSync(options.cert) } : {};
const server = smpp.createServer(secure, serve);
server.on("error", (error) => tell("error", { text: String(error.message) }));
server.listen(options.port ?? 0, "127.0.0.1", () => tell("listening", { number: server.address().port }));
