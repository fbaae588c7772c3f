import { h } from './dom.js'; export class Ring { constructor() { this.element = h('section', null); } update() {} }
