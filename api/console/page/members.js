import { h } from './dom.js'; export class Members { constructor() { this.element = h('section', null); } update() {} }
